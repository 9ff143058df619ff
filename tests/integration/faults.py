"""What can go wrong, each kind a method of Faults: it strikes and returns True, or returns False when it cannot now.

What is out of order is kept with the time when it is to be mended, and how; mend() is called every moment. One thing of a
kind at a time: one broker, one Redis server, one cut of a worker's network; workers die and stall beside all that.
"""
import collections
import signal

from proxy import TO_CLIENT, TO_SERVER
from rig import SHARDS
from waiting import free_port

SESSION = 6.0  # seconds: the worker's session.timeout.ms
WORKERS = ("a", "b", "c")


class Faults:
    def __init__(self, rig, random, static=True, hooks=None):
        self.rig, self.random, self.static, self.hooks = rig, random, static, hooks
        self.network = rig.brokers.network
        self.links = {name: {"kafka": rig.brokers.links[name], "redis": []} for name in WORKERS}
        self.broken = {}  # what -> (when it is mended, how: a function that is true when it is done)
        self.reassigning = None
        self.counts = collections.Counter()
        for name in WORKERS:
            if rig.redis_servers.kind == "single":
                self.links[name]["redis"].append(self.network.link(free_port(), rig.redis_port))
            self.start(name)

    def start(self, name):
        more = {"kafka": {"bootstrap.servers": self.rig.brokers.bootstrap_by(name)}}
        for link in self.links[name]["redis"]:
            more["redis_url"] = f"redis://127.0.0.1:{link.port}"
        if self.static:
            more["instance_id"] = name
        self.rig.start(name, hooks=self.hooks, **more)

    def mend(self, now):
        for what, (at, how) in list(self.broken.items()):
            if at <= now and how():
                del self.broken[what]
        self.counts["a worker ended by itself"] += self.rig.respawn()

    def breaks(self, what, until, how):
        self.broken[what] = (until, how)
        return True

    # ---- workers

    def awake(self):
        return [name for name in WORKERS if ("worker", name) not in self.broken]

    def kill_worker(self, now):
        name = self.random.choice(WORKERS)
        self.broken.pop(("worker", name), None)
        self.rig.kill(name)
        self.start(name)
        return True

    def stop_worker(self, now):
        """A polite farewell, which needs everything else in order."""
        if self.broken:
            return False
        name = self.random.choice(WORKERS)
        self.rig.stop(name, 90)
        self.start(name)
        return True

    def stall_worker(self, now):
        """The zombie: it sleeps until long after its group gave it up."""
        if len(self.awake()) < 2:
            return False
        name = self.random.choice(self.awake())
        process = self.rig.workers[name]
        process.send_signal(signal.SIGSTOP)

        def wake():
            process.send_signal(signal.SIGCONT)  # the one that was stalled, whoever has its name by now
            return True

        return self.breaks(("worker", name), now + SESSION + self.random.uniform(1, 6), wake)

    # ---- the network between one worker and the servers

    def some_links(self):
        """(worker, a way of his to the servers), or None: all brokers, one of them, Redis, or everything."""
        name = self.random.choice(WORKERS)
        if ("network", name) in self.broken:
            return None
        kafka, redis = self.links[name]["kafka"], self.links[name]["redis"]
        ways = [kafka, [self.random.choice(kafka)], kafka + redis] + [redis] * bool(redis)
        return name, self.random.choice(ways)

    def cut(self, now, *directions):
        chosen = self.some_links()
        if not chosen:
            return False
        name, links = chosen
        lost = self.random.random() < 0.5  # the connections break, or all of it arrives late
        for link in links:
            link.hold(*directions)

        def join():
            for link in links:
                if lost:
                    link.reset()
                link.release()
            return True

        return self.breaks(("network", name), now + self.random.uniform(1, SESSION + 6), join)

    def cut_network(self, now):
        return self.cut(now, TO_SERVER, TO_CLIENT)

    def lose_replies(self, now):
        """Requests take effect, and nobody hears of it."""
        return self.cut(now, TO_CLIENT)

    def slow_network(self, now):
        chosen = self.some_links()
        if not chosen:
            return False
        name, links = chosen
        for link in links:
            link.slow(self.random.uniform(0.02, 0.4))
        return self.breaks(("network", name), now + self.random.uniform(4, 12), lambda: [link.slow(0) for link in links])

    def refuse_network(self, now):
        chosen = self.some_links()
        if not chosen:
            return False
        name, links = chosen
        for link in links:
            link.refuse(True)
        return self.breaks(("network", name), now + self.random.uniform(0, 5), lambda: not any(link.refuse(False) for link in links))

    # ---- brokers

    def broker(self):
        """One that may fall: the others are there and up to date, or there are no others."""
        brokers = self.rig.brokers
        if "kafka" in self.broken or (brokers.count > 1 and not brokers.in_sync()):
            return None
        return self.random.randrange(brokers.count)

    def brokers_back(self):
        self.counts["a broker ended by itself"] += self.rig.brokers.heal()
        return self.rig.brokers.in_sync()

    def kill_broker(self, now):
        if (i := self.broker()) is None:
            return False
        self.rig.brokers.kill(i)
        return self.breaks("kafka", now + self.random.uniform(0, 5), self.brokers_back)

    def stall_broker(self, now):
        if (i := self.broker()) is None:
            return False
        self.rig.brokers.stall(i)
        return self.breaks("kafka", now + self.random.uniform(2, 10), self.brokers_back)

    def fill_disk(self, now):
        """The first broker's: it gives up by its own decision, or is killed; then there is room again."""
        brokers = self.rig.brokers
        if self.broker() is None:
            return False
        brokers.disk.fill()

        def room():
            self.counts["... a broker gave up with its disk full"] += brokers.processes[0].poll() is not None
            brokers.kill(0)
            brokers.disk.free()
            self.broken["kafka"] = (0, self.brokers_back)
            return False

        return self.breaks("kafka", now + self.random.uniform(3, 10), room)

    def reassign_partitions(self, now):
        brokers = self.rig.brokers
        if brokers.count == 1 or self.broker() is None:
            return False
        tool = brokers.reassign(self.random)

        def moved():
            if tool.poll() is None or not brokers.in_sync():
                return False
            self.counts["... reassignments that the tool refused"] += tool.returncode != 0
            brokers.elect_preferred()
            return True

        return self.breaks("kafka", now, moved)

    # ---- Redis

    def redis_back(self):
        self.rig.redis_servers.heal()
        return True

    def kill_redis(self, now):
        if "redis" in self.broken:
            return False
        self.rig.redis_servers.kill(self.random.randrange(SHARDS))
        return self.breaks("redis", now + self.random.uniform(0, 3), self.redis_back)

    def stall_redis(self, now):
        if "redis" in self.broken:
            return False
        self.rig.redis_servers.stall(self.random.randrange(SHARDS))
        return self.breaks("redis", now + self.random.uniform(0.5, 8), self.redis_back)

    def flush_redis(self, now):
        if "redis" in self.broken:
            return False
        self.rig.redis_servers.wipe()
        return True

    def client_kill(self, now):
        if "redis" in self.broken:
            return False
        self.rig.redis_servers.cut()
        return True


# How often, beside each other.
WEIGHTS = [(Faults.kill_worker, 14), (Faults.stop_worker, 2), (Faults.stall_worker, 3), (Faults.cut_network, 3),
           (Faults.lose_replies, 3), (Faults.slow_network, 2), (Faults.refuse_network, 2), (Faults.kill_broker, 2),
           (Faults.stall_broker, 1), (Faults.fill_disk, 1), (Faults.reassign_partitions, 2), (Faults.kill_redis, 2),
           (Faults.stall_redis, 1), (Faults.flush_redis, 4), (Faults.client_kill, 2)]
KILLS = ("kill_worker", "kill_broker", "kill_redis")
