"""See tests/chaos. One seed gives the same order of faults; the machine's timing does the rest."""
import argparse
import collections
import random
import shutil
import signal
import sys
import time

import redis_servers
from audit import audit
from load import Load
from rig import ROOT, SHARDS, Failure, Rig

SESSION = 6.0  # seconds: the worker's session.timeout.ms


class Chaos:
    def __init__(self, rig, seed, static):
        self.rig = rig
        self.random = random.Random(f"chaos-{seed}")
        self.static = static
        self.stalled = {}  # worker -> when it goes on
        self.down = {}  # server -> when it comes back
        self.counts = collections.Counter()
        for name in ("a", "b", "c"):
            self.start(name)

    def start(self, name):
        self.rig.start(name, **({"instance_id": name} if self.static else {}))

    def running(self):
        return [name for name in self.rig.workers if name not in self.stalled]

    def kill_worker(self, now):
        name = self.random.choice(self.running())
        self.rig.kill(name)
        self.start(name)

    def stop_worker(self, now):
        name = self.random.choice(self.running())
        if "kafka" in self.down:  # a polite farewell needs a broker
            return self.kill_worker(now)
        self.rig.stop(name, 20)
        self.start(name)

    def stall_worker(self, now):
        name = self.random.choice(self.running())
        self.rig.signal(name, signal.SIGSTOP)
        self.stalled[name] = now + SESSION + self.random.uniform(1, 6)

    def kill_broker(self, now):
        if "kafka" not in self.down:
            if self.rig.brokers:
                self.rig.brokers.kill(self.random.randrange(self.rig.brokers.count))
            else:
                self.rig.kill_server("kafka")
            self.down["kafka"] = now + self.random.uniform(0, 5)

    def kill_redis(self, now):
        if "redis" not in self.down:
            self.rig.redis_servers.kill(self.random.randrange(SHARDS))
            self.down["redis"] = now + self.random.uniform(0, 3)

    def wipe_redis(self, now):
        if "redis" not in self.down:
            self.rig.redis_servers.wipe()

    def cut_redis(self, now):
        if "redis" not in self.down:
            self.rig.redis_servers.cut()

    FAULTS = [(kill_worker, 6), (stop_worker, 2), (stall_worker, 2), (kill_broker, 1), (kill_redis, 2), (wipe_redis, 4),
              (cut_redis, 2)]

    def heal(self, now):
        """What was to come back by now does."""
        for name in [name for name, at in self.stalled.items() if at <= now]:
            del self.stalled[name]
            self.rig.signal(name, signal.SIGCONT)
        for server in [server for server, at in self.down.items() if at <= now]:
            del self.down[server]
            if server == "redis":
                self.rig.redis_servers.heal()
            elif self.rig.brokers:
                self.rig.brokers.heal()
            else:
                self.rig.servers("up", server)
        self.counts["workers that ended by themselves, started again"] += self.rig.respawn()

    def strike(self, now):
        fault = self.random.choices([f for f, _ in self.FAULTS], [w for _, w in self.FAULTS])[0]
        if fault in (Chaos.kill_worker, Chaos.stop_worker, Chaos.stall_worker) and len(self.running()) < 2:
            return
        self.counts[fault.__name__] += 1
        fault(self, now)


def run(rig, seed, minutes, static, rate, pace):
    chaos, load = Chaos(rig, seed, static), Load(f"chaos-{seed}", 400, int(time.time() * 1000))
    began = time.monotonic()
    strike_at, produced, told = 5.0, 0, 0
    while (now := time.monotonic() - began) < minutes * 60:
        chaos.heal(now)
        due = int(now * rate) - produced
        if due > 0 and (rig.brokers or "kafka" not in chaos.down):  # of three brokers two still take it
            rig.produce(load.take(min(due, 2000)))
            produced += min(due, 2000)
        if now >= strike_at:
            chaos.strike(now)
            strike_at = now + chaos.random.uniform(pace / 3, pace * 5 / 3)
        if now - told > 30:
            told = now
            print(f"  {now:4.0f} s: {produced} events in, {sum(chaos.counts.values())} faults", flush=True)
        time.sleep(0.2)  # the pace of the load, not a wait for a result
    chaos.heal(float("inf"))
    began = time.monotonic()
    rig.drain(300, respawn=True)
    print(f"  drained {time.monotonic() - began:.0f} s after the last fault", flush=True)
    for name in list(rig.workers):
        rig.stop(name, 20)
    for name, count in sorted(chaos.counts.items()):
        print(f"  {count:5} {name}")
    audit(rig)


def main():
    parser = argparse.ArgumentParser(description="Chaos on a real Kafka and Redis, then the audit.")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--rate", type=int, default=300, help="events a second")
    parser.add_argument("--pace", type=float, default=3.0, help="seconds between faults, on average")
    parser.add_argument("--static", action="store_true", help="static membership, as in Kubernetes")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="3: replication 3, two in sync at least")
    parser.add_argument("--redis", choices=sorted(redis_servers.KINDS), default="single")
    options = parser.parse_args()
    folder = ROOT / "build/chaos"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        kafka = {"count": 3} if options.brokers == 3 else None
        with Rig(folder, options.seed, redis=options.redis, kafka=kafka) as rig:
            run(rig, options.seed, options.minutes, options.static, options.rate, options.pace)
    except Failure as failure:
        print(f"FAILED: {failure}\n        logs are in {folder}")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    print("1 passed, 0 failed, 0 skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
