"""Apache Kafka for one test where deploy/local's single plain broker is not enough: another version, three brokers, users.

The jars are deploy/local's (by Maven, once per version); every broker is a process of ours on loopback.
"""
import json
import os
import pathlib
import re
import signal
import subprocess

from confluent_kafka import ElectionType, KafkaException
from confluent_kafka.admin import AdminClient
from disk import Disk
from proxy import Network
from waiting import free_port, wait_for

LOCAL = pathlib.Path(__file__).resolve().parents[2] / "deploy/local"
NEWEST = re.search(r"<kafka.version>(.*)<", (LOCAL / "pom.xml").read_text())[1]
OLDER = "3.9.1"


def jars(version):
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / f"oriori/kafka-{version}"
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mvn", "-q", "-B", "--no-transfer-progress", "-Dstyle.color=never", f"-Dkafka.version={version}", "-f",
                        str(LOCAL / "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime",
                        f"-DoutputDirectory={folder}"], check=True)
        for other in folder.glob("slf4j-reload4j*"):  # 3.9 brings its own logger; ours is the simple one
            other.unlink()
        (folder / ".complete").touch()
    return folder


def certificates(folder):
    """A throw-away CA and, signed by it, server.pem (localhost) and client.pem (CN=oriori); and another CA's file."""
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "otherca"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                "-out", f"{name}.pem", "-addext", "basicConstraints=critical,CA:TRUE")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name, subject in (("server", "/CN=localhost"), ("client", "/CN=oriori")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-out", f"{name}.crt", "-extfile", "names")
        parts = [(folder / part).read_text() for part in (f"{name}.key", f"{name}.crt", "ca.pem")]
        (folder / f"{name}.pem").write_text("".join(parts))
    return folder


class Kafka:
    """`count` brokers that are controllers too; with `secure` each also listens to TLS with users, and to TLS with
    certificates. Plain connections are the tests' own and may do everything; all others need rights.

    Each of `links` is a way to all brokers of its own, which can be cut: a listener that advertises a link's port, so that
    who comes by it stays on it. With `disk_mb` the first broker's data lie on a disk of that size, which can be full. With
    `racks` broker i stands in rack ri, and consumers that say where they stand may read from its copies."""

    def __init__(self, folder, version=NEWEST, count=1, secure=False, links=(), disk_mb=0, racks=False):
        self.folder, self.version, self.count = pathlib.Path(folder) / "kafka-servers", version, count
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = [free_port() for _ in range(count)]
        self.controllers = [free_port() for _ in range(count)]
        self.sasl_port, self.tls_port = (free_port(), free_port()) if secure else (None, None)
        self.tls = certificates(self.folder / "tls") if secure else None
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.processes = [None] * count
        self.stalled, self.racks = set(), racks
        self.network = Network() if links else None
        self.links = {name: [self.network.link(free_port(), free_port()) for _ in range(count)] for name in links}
        self.disk = Disk(self.folder / "disk", disk_mb) if disk_mb else None

    def data(self, i):
        small = self.disk and not self.disk.reason and i == 0
        return self.disk.folder / "data" if small else self.folder / f"data{i}"

    def bootstrap_by(self, name):
        return ",".join(f"127.0.0.1:{link.port}" for link in self.links[name])

    def properties(self, i):
        n, isr = self.count, 2 if self.count > 1 else 1
        listeners = [f"PLAINTEXT://127.0.0.1:{self.ports[i]}"]
        if self.tls:
            listeners += [f"SASL_SSL://127.0.0.1:{self.sasl_port}", f"SSL://127.0.0.1:{self.tls_port}"]
        advertised = [listener.replace("SSL://127.0.0.1", "SSL://localhost") for listener in listeners]
        kinds = ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT", "SASL_SSL:SASL_SSL", "SSL:SSL"]
        for name, links in self.links.items():
            listeners.append(f"LINK_{name.upper()}://127.0.0.1:{links[i].target}")
            advertised.append(f"LINK_{name.upper()}://127.0.0.1:{links[i].port}")
            kinds.append(f"LINK_{name.upper()}:PLAINTEXT")
        lines = {
            "process.roles": "broker,controller", "node.id": i + 1,
            "listeners": ",".join(listeners + [f"CONTROLLER://127.0.0.1:{self.controllers[i]}"]),
            "advertised.listeners": ",".join(advertised), "listener.security.protocol.map": ",".join(kinds),
            "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "PLAINTEXT",
            "controller.quorum.voters": ",".join(f"{j + 1}@127.0.0.1:{port}" for j, port in enumerate(self.controllers)),
            "log.dirs": self.data(i), "auto.create.topics.enable": "false",
            "default.replication.factor": n, "min.insync.replicas": isr,
            "offsets.topic.replication.factor": n, "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": n, "transaction.state.log.min.isr": isr,
            "transaction.state.log.num.partitions": 4, "share.coordinator.state.topic.replication.factor": n,
            "share.coordinator.state.topic.min.isr": isr, "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000, "broker.session.timeout.ms": 4000, "broker.heartbeat.interval.ms": 500,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000, "transaction.max.timeout.ms": 60_000,
            "num.network.threads": 2, "num.io.threads": 4,
            "log.cleaner.dedupe.buffer.size": 20971520, "log.index.size.max.bytes": 1048576,
        }
        if self.racks:
            lines |= {"broker.rack": f"r{i + 1}", "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
        if self.tls:
            jaas = "org.apache.kafka.common.security"
            lines |= {
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS", "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
                "ssl.keystore.type": "PEM", "ssl.keystore.location": self.tls / "server.pem",
                "ssl.truststore.type": "PEM", "ssl.truststore.location": self.tls / "ca.pem",
                "listener.name.ssl.ssl.client.auth": "required",
                "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/,DEFAULT",
                "listener.name.sasl_ssl.plain.sasl.jaas.config":
                    f'{jaas}.plain.PlainLoginModule required user_oriori="kafka-secret";',
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
                # Tokens are believed unsigned: what the worker sends and renews is looked at, not Kafka's own checks.
                "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config":
                    f"{jaas}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";",
            }
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    def java(self, *arguments):
        return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp", f"{jars(self.version)}/*", *arguments]

    def start(self):
        for i in range(self.count):
            path = self.folder / f"{i}.properties"
            path.write_text(self.properties(i))
            scram = ["--add-scram", "SCRAM-SHA-512=[name=oriori,password=kafka-secret]"] if self.tls else []
            with (self.folder / f"format{i}.log").open("w") as log:
                subprocess.run(self.java("kafka.tools.StorageTool", "format", "-t", "b3Jpb3JpdGVzdG9yaW9yaQ", "-c", str(path),
                                         *scram), check=True, stdout=log, stderr=log)
        self.heal()
        self.ready()

    def heal(self):
        """Starts what is not running, on the data it had; wakes what sleeps. Returns how many had ended by themselves."""
        ended = 0
        for i in range(self.count):
            if i in self.stalled:
                self.stalled.discard(i)
                self.processes[i].send_signal(signal.SIGCONT)
            if self.processes[i] is not None and self.processes[i].poll() is not None:
                self.processes[i], ended = None, ended + 1
            if self.processes[i] is None:
                with (self.folder / f"log{i}").open("a") as log:
                    self.processes[i] = subprocess.Popen(self.java("-Xmx384m", "kafka.Kafka", str(self.folder / f"{i}.properties")),
                                                         stdout=log, stderr=log, start_new_session=True)
        return ended

    def ready(self):
        """All brokers are in the cluster."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

        def complete():
            for i, process in enumerate(self.processes):
                if process is not None and process.poll() is not None:
                    raise RuntimeError(f"broker {i} ended: {(self.folder / f'log{i}').read_text()[-1000:]}")
            try:
                return len(admin.list_topics(timeout=2).brokers) == self.count
            except Exception:  # not up yet
                return False

        wait_for("the brokers", 180, complete)

    def in_sync(self):
        """All brokers are there and no replica is behind: one more may fall, and everything goes on."""
        try:
            found = self.admin().list_topics(timeout=5)
        except KafkaException:
            return False
        partitions = [p for topic in found.topics.values() for p in topic.partitions.values()]
        return len(found.brokers) == self.count and all(len(p.isrs) == len(p.replicas) for p in partitions)

    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def quota(self, producer_byte_rate):
        """Of every client id without one of its own; None takes it away."""
        change = ["--delete-config", "producer_byte_rate"] if producer_byte_rate is None else [
            "--add-config", f"producer_byte_rate={producer_byte_rate}"]
        subprocess.run(self.java("kafka.admin.ConfigCommand", "--bootstrap-server", self.bootstrap, "--alter", *change,
                                 "--entity-type", "clients", "--entity-default"), check=True, capture_output=True)

    def reassign(self, random):
        """Every partition gets two or three of the brokers, in any order: copies are made and dropped, leaders move."""
        rows = []
        for name, topic in self.admin().list_topics(timeout=30).topics.items():
            for partition in topic.partitions:
                replicas = random.sample(range(1, self.count + 1), random.randrange(min(2, self.count), self.count + 1))
                rows.append({"topic": name, "partition": partition, "replicas": replicas})
        path = self.folder / "reassignment.json"
        path.write_text(json.dumps({"version": 1, "partitions": rows}))
        with (self.folder / "reassign.log").open("a") as log:
            return subprocess.Popen(self.java("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", "--bootstrap-server",
                                              self.bootstrap, "--reassignment-json-file", str(path), "--execute"), stdout=log, stderr=log)

    def elect_preferred(self):
        """The first replica of each partition leads it. What is not possible now is left as it is."""
        try:
            self.admin().elect_leaders(ElectionType.PREFERRED, None).result(30)
        except KafkaException:
            pass

    def stall(self, i):
        self.stalled.add(i)
        self.processes[i].send_signal(signal.SIGSTOP)

    def kill(self, i):
        self.stalled.discard(i)
        if self.processes[i] is not None:
            self.processes[i].kill()
            self.processes[i].wait()
            self.processes[i] = None

    def stop(self):
        for i in range(self.count):
            self.kill(i)
        if self.disk:
            self.disk.unmount()
        if self.network:
            self.network.close()
