"""See tests/chaos. One seed gives the same order of faults; the machine's timing does the rest."""
import argparse
import collections
import random
import re
import statistics
import sys
import threading
import time

import redis_servers
from audit import audit
from confluent_kafka import Consumer, KafkaException, TopicPartition
from disk import unmount_below
from faults import KILLS, WEIGHTS, WORKERS, Faults
from load import Load
from rig import ROOT, SHARDS, Rig
from runner import closing

DISK_MB = 6000
HOOKS = ("before_offsets:kill:0.002,before_commit:kill:0.002,before_apply:kill:0.004,before_load:flushall:0.02,"
         "in_recovery:kill:0.004,in_recovery:flushall:0.004,before_commit:stall:0.001")


class Watch(threading.Thread):
    """How far each shard has committed, all the time: what a fault cost is read from it afterwards."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.bootstrap, self.rows, self.over = bootstrap, [], threading.Event()

    def run(self):
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "watch", "log_level": 0,
                             "isolation.level": "read_committed"})
        while not self.over.wait(0.2):
            at = time.monotonic()
            try:
                self.rows.append((at, [consumer.get_watermark_offsets(TopicPartition("crm.steps", p), 5)[1] for p in range(SHARDS)]))
            except KafkaException:  # the brokers are away: that is part of the time
                pass
        consumer.close()

    def recovered(self, at):
        """Seconds from `at` until every shard has committed something new; None: not before the end."""
        later = [(when, ends) for when, ends in self.rows if when >= at]
        for when, ends in later:
            if all(end > first for end, first in zip(ends, later[0][1])):
                return when - at
        return None


class Chaos:
    def __init__(self, rig, options):
        self.rig, self.options = rig, options
        self.random = random.Random(f"chaos-{options.seed}")
        self.faults = Faults(rig, self.random, options.static, {"ORIORI_FAULT": options.hooks} if options.hooks else None)
        self.load = Load(f"chaos-{options.seed}", options.customers, int(time.time() * 1000))
        self.struck = []  # (when, the fault's name)
        self.weights = [(fault, weight) for fault, weight in WEIGHTS if self.possible(fault)]
        self.turn = [fault for fault, _ in self.weights]
        self.began = time.monotonic()

    def now(self):
        return time.monotonic() - self.began

    def kills(self):
        return sum(name in KILLS for _, name in self.struck)

    def strike(self, now):
        """By chance; with each_once in turn, and what cannot be now waits at the end of the line."""
        if self.options.each_once:
            chosen = self.turn.pop(0)
            if not chosen(self.faults, now):
                self.turn.append(chosen)
                return
        else:
            chosen = self.random.choices([f for f, _ in self.weights], [w for _, w in self.weights])[0]
            if not chosen(self.faults, now):
                return
        self.struck.append((time.monotonic(), chosen.__name__))

    def over(self, now):
        if self.options.each_once:
            return not self.turn
        return now >= self.options.minutes * 60 and self.kills() >= self.options.kills

    def possible(self, fault):
        if fault is Faults.reassign_partitions and self.rig.brokers.count == 1:
            return False
        disk = self.rig.brokers.disk
        return fault.__name__ not in self.options.without.split(",") and (fault is not Faults.fill_disk or (disk and not disk.reason))

    def run(self):
        strike_at, produced, told = 5.0, 0, 0
        pace = self.options.pace
        while not self.over(now := self.now()):
            self.faults.mend(now)
            due = min(int(now * self.options.rate) - produced, 2000)
            if due > 0 and len(self.rig.producer) < 20_000:  # the brokers may be away: it waits in our memory
                self.rig.write(self.load.take(due))
                produced += due
            self.rig.producer.poll(0)
            if now >= strike_at:
                self.strike(now)
                strike_at = now + self.random.uniform(pace / 3, pace * 5 / 3)
            if now - told > 60:
                told = now
                print(f"  {now:5.0f} s: {produced} events in, {len(self.struck)} faults, {self.kills()} kills", flush=True)
            time.sleep(0.1)  # the pace of the load, not a wait for a result
        self.peace()

    def peace(self):
        """Everything is mended, all input is consumed."""
        began = time.monotonic()
        while self.faults.broken:
            self.faults.mend(self.now())
            self.rig.producer.poll(0.2)
            if time.monotonic() - began > 600:
                raise RuntimeError(f"cannot be mended: {list(self.faults.broken)}")
        self.rig.flush(600)
        self.rig.drain(900, respawn=True)
        print(f"  drained {time.monotonic() - began:.0f} s after the last fault", flush=True)

    def deeds(self):
        """What the test build did to itself, as it says in its log."""
        return collections.Counter(re.findall(r"oriori: test build: (\w+):(\w+) at pass", "".join(map(self.rig.log_of, WORKERS))))

    def report(self, watch):
        disk = self.rig.brokers.disk
        if disk and disk.reason:
            print(f"  left out: the full disk, for a small one could not be mounted ({disk.reason})")
        print("  fault                    times   until every shard has committed again (s): median, nine in ten, longest")
        for fault, _ in WEIGHTS:
            times = [at for at, name in self.struck if name == fault.__name__]
            took = sorted(seconds for at in times if (seconds := watch.recovered(at)) is not None)
            if took:
                print(f"  {fault.__name__:24} {len(times):5}   {statistics.median(took):6.1f} {took[len(took) * 9 // 10]:8.1f} {took[-1]:8.1f}")
            elif times:
                print(f"  {fault.__name__:24} {len(times):5}")
        for name, count in sorted(self.faults.counts.items()):
            print(f"  {count:5} times {name}")
        for (place, deed), count in sorted(self.deeds().items()):
            print(f"  {count:5} times a worker's own {deed} {place.replace('_', ' ')}")
        print(f"  {len(self.struck)} faults, {self.kills()} of them kill -9", flush=True)


def run(rig, options):
    watch = Watch(rig.bootstrap)
    watch.start()
    chaos = Chaos(rig, options)
    try:
        chaos.run()
    finally:
        watch.over.set()
        watch.join(60)
        chaos.report(watch)
    for name in list(rig.workers):
        rig.stop(name, 90)
    audit(rig)


def settings(arguments=None):
    parser = argparse.ArgumentParser(description="Chaos on a real Kafka and Redis, then the audit.")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--kills", type=int, default=0, help="go on until so many kill -9")
    parser.add_argument("--each-once", action="store_true", help="every kind of fault once, instead of a time")
    parser.add_argument("--without", default="", help="kinds of fault, with commas")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--rate", type=int, default=100, help="events a second")
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--pace", type=float, default=4.0, help="seconds between faults, on average")
    parser.add_argument("--static", action="store_true", help="static membership, as in Kubernetes")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="3: replication 3, two in sync at least")
    parser.add_argument("--redis", choices=sorted(redis_servers.KINDS), default="single")
    parser.add_argument("--hooks", nargs="?", const=HOOKS, metavar="ORIORI_FAULT", help="the test build, which harms itself too: "
                        + HOOKS)
    parser.add_argument("--folder", default=str(ROOT / "build/chaos"))
    return parser.parse_args(arguments)


def make_rig(folder, options):
    kafka = {"count": options.brokers, "links": WORKERS, "disk_mb": DISK_MB}
    return Rig(folder, options.seed, redis=options.redis, kafka=kafka)


if __name__ == "__main__":
    chosen = settings()
    unmount_below(chosen.folder)
    sys.exit(closing(chosen.folder, lambda folder: make_rig(folder, chosen), lambda rig: run(rig, chosen)))
