"""Redis for one test: alone (deploy/local's), under Sentinel, or as a cluster; every server a process of ours on loopback.

All three answer the same questions: `url` for the worker's config, `at(shard)` the port of the server that holds a shard
now, `kill(shard)` and `stall(shard)` for the one that dies or sleeps, `heal()` for its return, `wipe()` and `cut()` for the rest.
"""
import os
import pathlib
import signal
import subprocess
import time

from waiting import free_port, wait_for


def cli(port, *arguments, check=True):
    """What redis-cli prints. Without check, a server that refuses or does not answer (a stalled one) says nothing."""
    try:
        done = subprocess.run(["redis-cli", "-p", str(port), *map(str, arguments)], capture_output=True, timeout=60 if check else 5)
    except subprocess.TimeoutExpired:
        if check:
            raise
        return ""
    if check and done.returncode != 0:
        raise RuntimeError(f"redis-cli {arguments}: {done.stdout[-300:]!r} {done.stderr[-300:]!r}")
    return done.stdout.decode(errors="replace").strip()


class Server:
    def __init__(self, folder, name, port, *arguments):
        self.folder, self.port, self.arguments = pathlib.Path(folder) / name, port, arguments
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.stalled = False

    def start(self):
        self.stalled = False
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(["redis-server", *map(str, self.arguments)], cwd=self.folder, stdout=log, stderr=log,
                                            start_new_session=True)
        wait_for(f"{self.folder.name} to answer", 60, lambda: self.process.poll() is not None or cli(self.port, "PING", check=False))
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.folder.name} ended: {(self.folder / 'log').read_text()[-500:]}")

    def alive(self):
        return self.process is not None and not self.stalled

    def stall(self, stalled):
        self.stalled = stalled
        self.process.send_signal(signal.SIGSTOP if stalled else signal.SIGCONT)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def users():
    """Everybody may all, for the tests themselves; the worker's user has exactly the rights of deploy/README.md."""
    readme = pathlib.Path(__file__).resolve().parents[2] / "deploy/README.md"
    line = next(line.strip() for line in readme.read_text().splitlines() if line.startswith("    user oriori on >PASSWORD "))
    return f"user default on nopass ~* &* +@all\n{line.replace('>PASSWORD', '>pw')}\n"


def data_server(folder, name, port, *more):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "users.acl").write_text(users())
    return Server(folder, name, port, "--aclfile", folder / "users.acl", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no",
                  "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", 0, "--repl-ping-replica-period", 1, *more)


class Single:
    """deploy/local's Redis; `rig` starts and ends it."""
    kind = "single"

    def __init__(self, rig):
        self.rig, self.port = rig, rig.redis_port
        self.url = f"redis://127.0.0.1:{self.port}"

    def access(self):
        return {}

    def start(self):
        pass

    def stop(self):
        pass

    def at(self, shard):
        return self.port

    def kill(self, shard):
        self.rig.kill_server("redis")

    def stall(self, shard):
        os.kill(self.rig.server_pid("redis"), signal.SIGSTOP)

    def heal(self):
        if self.rig.server_lives("redis"):
            os.kill(self.rig.server_pid("redis"), signal.SIGCONT)
        self.rig.servers("up", "redis")

    def wipe(self):
        cli(self.port, "FLUSHALL")

    def cut(self):
        cli(self.port, "CLIENT", "KILL", "TYPE", "normal")


class Many:
    """What Sentinel and Cluster share: several data servers, some of them dead. Workers come as the user of deploy/README.md."""

    def access(self):
        path = self.folder / "password"
        path.write_text("pw\n")
        return {"user": "oriori", "password_file": path}

    def stop(self):
        for server in self.everyone():
            server.kill()

    def heal(self):
        """The dead come back empty, as what they were: the others tell them what they are now."""
        for server in self.everyone():
            if server.stalled:
                server.stall(False)
            elif not server.alive():
                server.start()

    def wipe(self):
        for server in self.masters():
            cli(server.port, "FLUSHALL", check=False)

    def cut(self):
        for server in self.masters():
            cli(server.port, "CLIENT", "KILL", "TYPE", "normal", check=False)

    def kill(self, shard):
        port = self.at(shard)
        self.named(port).kill()
        return port

    def stall(self, shard):
        """The master stops answering and does not know it: the others may promote another meanwhile."""
        self.named(self.at(shard)).stall(True)

    def named(self, port):
        return next(server for server in self.everyone() if server.port == port)


class Sentinel(Many):
    kind, name = "sentinel", "m"

    def __init__(self, rig):
        folder = self.folder = rig.folder / "redis-sentinel"
        first, second = free_port(), free_port()
        self.data = [data_server(folder, "one", first), data_server(folder, "two", second, "--replicaof", "127.0.0.1", first)]
        self.sentinels = [Server(folder, f"sentinel{i}", free_port(), "s.conf", "--sentinel") for i in range(3)]
        # A replica whose link was down for longer than ten times `down-after` before its master died is never promoted, and a slow
        # machine takes more than 10 s between part_replica() and the death.
        for server in self.sentinels:
            (server.folder / "s.conf").write_text(
                f"port {server.port}\nbind 127.0.0.1\nsentinel monitor m 127.0.0.1 {first} 2\n"
                "sentinel down-after-milliseconds m 5000\nsentinel failover-timeout m 6000\n"
                "user oriori on >spw -@all +sentinel|get-master-addr-by-name\n")
        self.url = "redis-sentinel://" + ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels) + "/m"

    def access(self):
        return {**super().access(), "sentinel_user": "oriori", "sentinel_password": "spw"}

    def everyone(self):
        return self.data + self.sentinels

    def start(self):
        for server in self.everyone():
            server.start()
        for server in self.sentinels:
            wait_for("the sentinels' quorum", 60, lambda: cli(server.port, "SENTINEL", "ckquorum", "m", check=False).startswith("OK 3"))
            wait_for("the sentinels to know the replica", 60, self.replica_known(server))

    def replica_known(self, sentinel):
        return lambda: str(self.data[1].port) in cli(sentinel.port, "SENTINEL", "replicas", "m", check=False)

    def at(self, shard=0):
        """By the servers themselves: the one that is a master and not empty of replicas' esteem, as the sentinels say."""
        def master():
            for sentinel in self.sentinels:
                words = cli(sentinel.port, "SENTINEL", "get-master-addr-by-name", "m", check=False).split()
                if len(words) == 2:
                    return int(words[1])
            return None

        return wait_for("a sentinel to name a master", 60, master)

    def masters(self):
        port = self.at()
        return [server for server in self.data if server.port == port]

    def other(self):
        port = self.at()
        return next(server for server in self.data if server.port != port)

    def part_replica(self):
        """From now on the replica gets nothing any more: what the master takes is lost when it dies."""
        cli(self.other().port, "CONFIG", "SET", "masterauth", "wrong")
        cli(self.other().port, "CLIENT", "KILL", "TYPE", "master")
        wait_for("the replica's link to be down", 60, lambda: "master_link_status:down" in cli(self.other().port, "INFO", "replication"))


class Cluster(Many):
    """Three masters, a third of the slots each; the second one, which has shards 1 and 2 of four, has a replica."""
    kind = "cluster"
    RANGES = [(0, 5460), (5461, 10922), (10923, 16383)]

    def __init__(self, rig):
        folder = self.folder = rig.folder / "redis-cluster"
        self.nodes = []
        for i in range(4):
            port = free_port(22000, beside=[10000])
            self.nodes.append(data_server(folder, f"node{i}", port, "--cluster-enabled", "yes", "--cluster-config-file", "n.conf",
                                          "--cluster-node-timeout", 2000, "--cluster-require-full-coverage", "no",
                                          "--cluster-replica-validity-factor", 0, "--cluster-migration-barrier", 9))
        self.url = "redis-cluster://" + ",".join(f"127.0.0.1:{s.port}" for s in self.nodes[:2])

    def everyone(self):
        return self.nodes

    def id_of(self, server):
        return cli(server.port, "CLUSTER", "MYID")

    def start(self):
        for number, server in enumerate(self.nodes):
            server.start()
            cli(server.port, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server, (first, last) in zip(self.nodes, self.RANGES):
            cli(server.port, "CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in self.nodes[1:]:
            cli(self.nodes[0].port, "CLUSTER", "MEET", "127.0.0.1", server.port)
        wait_for("all nodes to know each other", 60, lambda: all("cluster_known_nodes:4" in cli(s.port, "CLUSTER", "INFO") for s in self.nodes))
        wait_for("the replica to have its master", 60, lambda: cli(self.nodes[3].port, "CLUSTER", "REPLICATE", self.id_of(self.nodes[1]),
                                                           check=False) == "OK")
        self.settle()
        wait_for("the replica's link to be up", 60, lambda: "master_link_status:up" in cli(self.nodes[3].port, "INFO", "replication"))

    def settle(self):
        """All living nodes agree that all slots are served."""
        def good():
            texts = [cli(s.port, "CLUSTER", "INFO", check=False) for s in self.nodes if s.alive()]
            return all("cluster_state:ok" in text and "cluster_slots_ok:16384" in text for text in texts)

        wait_for("the cluster to serve all slots", 60, good)

    def rows(self):
        """(first slot, last slot, port of the master), as the first living node that answers sees it."""
        for server in self.nodes:
            if not server.alive():
                continue
            rows = []
            for line in cli(server.port, "CLUSTER", "NODES", check=False).splitlines():
                words = line.split()
                if len(words) > 8 and "master" in words[2] and "fail" not in words[2].split(","):
                    port = int(words[1].split("@")[0].rsplit(":", 1)[1])
                    for span in words[8:]:
                        if not span.startswith("["):
                            first, _, last = span.partition("-")
                            rows.append((int(first), int(last or first), port))
            if rows:
                return rows
        return []

    def slot(self, shard):
        return int(cli(next(s for s in self.nodes if s.alive()).port, "CLUSTER", "KEYSLOT", f"{{{shard}}}"))

    def at(self, shard):
        slot = self.slot(shard)
        return wait_for(f"a master for slot {slot}", 60, lambda: next((p for first, last, p in self.rows() if first <= slot <= last), None))

    def masters(self):
        ports = {port for _, _, port in self.rows()}
        return [server for server in self.nodes if server.port in ports and server.alive()]

    def move(self, shard, target_port, pause=0.0):
        """The shard's slot to another master, as redis-cli does it: in portions, clients being sent to and fro meanwhile."""
        slot, source = self.slot(shard), self.at(shard)
        ids = {server.port: self.id_of(server) for server in self.nodes if server.alive()}
        cli(target_port, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        cli(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target_port])
        moved = 0
        while keys := cli(source, "CLUSTER", "GETKEYSINSLOT", slot, 20).split():
            moved += len(keys)
            answer = cli(source, "MIGRATE", "127.0.0.1", target_port, "", 0, 5000, "KEYS", *keys)
            if answer not in ("OK", "NOKEY"):
                raise RuntimeError(f"MIGRATE: {answer}")
            time.sleep(pause)  # so that clients meet the half-moved slot
        for port in [target_port, source] + [p for p in ids if p not in (target_port, source)]:
            cli(port, "CLUSTER", "SETSLOT", slot, "NODE", ids[target_port], check=False)  # a replica refuses, and is told
        return moved


class Tls(Many):
    """One server that speaks TLS only to others, and wants a certificate of them; the tests' own port is plain."""
    kind = "tls"

    def __init__(self, rig):
        from kafka_servers import certificates  # which needs this module itself

        folder = self.folder = rig.folder / "redis-tls"
        self.tls, self.ca = certificates(folder / "tls"), "ca.pem"
        self.port, self.tls_port = free_port(), free_port()
        self.data = data_server(folder, "one", self.port, "--tls-port", self.tls_port, "--tls-auth-clients", "yes",
                                "--tls-cert-file", self.tls / "server.crt", "--tls-key-file", self.tls / "server.key",
                                "--tls-ca-cert-file", self.tls / "ca.pem")
        self.url = f"rediss://localhost:{self.tls_port}"

    def access(self):
        return {**super().access(), "tls_ca": self.tls / self.ca, "tls_certificate": self.tls / "client.crt",
                "tls_key": self.tls / "client.key"}

    def everyone(self):
        return [self.data]

    masters = everyone

    def start(self):
        self.data.start()

    def at(self, shard):
        return self.port


KINDS = {"single": Single, "sentinel": Sentinel, "cluster": Cluster, "tls": Tls}
