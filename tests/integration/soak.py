"""See tests/soak."""
import argparse
import pathlib
import sys
import time

from audit import audit
from load import Load
from rig import ROOT, Failure, Rig, free_port, now_ms, wait_for
from runner import closing
from scrape import ask, samples, total

LASTING, ROLLED = "lasting", ("roll-1", "roll-2")
PAGE = 4096
# What flat means: generous, for what is looked for is a leak, which over an hour of steady load is far more.
MEMORY_GROWTH_MAX = 16 << 20  # bytes over the measured part, by the fitted line
DESCRIPTOR_GROWTH_MAX = 4


def usage_of(pid):
    """(resident bytes, descriptors), as the kernel says."""
    process = pathlib.Path(f"/proc/{pid}")
    return int((process / "statm").read_text().split()[1]) * PAGE, len(list((process / "fd").iterdir()))


def slope(points):
    """Of the least squares line through (time, value), per second."""
    mean_t = sum(t for t, _ in points) / len(points)
    mean_v = sum(v for _, v in points) / len(points)
    spread = sum((t - mean_t) ** 2 for t, _ in points)
    return sum((t - mean_t) * (v - mean_v) for t, v in points) / spread


class Soak:
    def __init__(self, rig, options):
        self.rig, self.options = rig, options
        self.port = free_port()
        self.usage = []  # (seconds, resident bytes, descriptors) of the lasting worker
        self.restarts = 0
        rig.start(LASTING, instance_id=LASTING, monitor={"listen": f"127.0.0.1:{self.port}"})
        for name in ROLLED:
            rig.start(name, instance_id=name)

    def roll(self):
        name = ROLLED[self.restarts % len(ROLLED)]
        self.rig.stop(name, 120)
        self.rig.start(name, instance_id=name)
        self.restarts += 1

    def sample(self, now):
        self.rig.alive()
        self.usage.append((now, *usage_of(self.rig.workers[LASTING].pid)))

    def run(self):
        load = Load("soak", self.options.customers, now_ms())
        began, produced, sample_at, told = time.monotonic(), 0, 0, 0
        roll_at = self.options.restart_every
        while (now := time.monotonic() - began) < self.options.minutes * 60:
            due = min(int(now * self.options.rate) - produced, 5000)
            if due > 0:
                self.rig.produce(load.take(due))
                produced += due
            if now >= sample_at:
                self.sample(now)
                sample_at = now + 5
            if now >= roll_at:
                self.roll()
                roll_at = now + self.options.restart_every
            if now - told >= 60:
                told = now
                _, resident, descriptors = self.usage[-1]
                print(f"  {now / 60:3.0f} min: {produced} events in, {self.restarts} restarts, {resident / 1e6:.1f} MB, "
                      f"{descriptors} descriptors", flush=True)
            time.sleep(0.2)  # the pace of the load, not a wait for a result
        self.rig.drain(900)
        self.sample(time.monotonic() - began)

    def judge(self):
        """The first third is warming up: arenas and librdkafka's queues find their size."""
        measured = self.usage[len(self.usage) // 3:]
        if len(measured) < 6:
            raise Failure(f"only {len(measured)} samples: the run was too short to say anything")
        seconds = measured[-1][0] - measured[0][0]
        for what, index, scale, unit, most in (("memory", 1, 1e6, "MB", MEMORY_GROWTH_MAX),
                                               ("descriptors", 2, 1, "", DESCRIPTOR_GROWTH_MAX)):
            values = [row[index] for row in measured]
            per_second = slope([(row[0], row[index]) for row in measured])
            print(f"  {what}: {min(values) / scale:.1f} .. {max(values) / scale:.1f} {unit}, slope "
                  f"{per_second * 3600 / scale:+.2f} {unit} an hour over {seconds / 60:.0f} minutes")
            if per_second * seconds > most:
                raise Failure(f"{what} grew by {per_second * seconds / scale:.1f} {unit} in {seconds / 60:.0f} minutes")

    def numbers(self):
        found = samples(ask(self.port, "/metrics")[1])
        print(f"  the lasting worker: {total(found, 'oriori_transactions_total'):.0f} transactions, "
              f"{total(found, 'oriori_recoveries_total'):.0f} recoveries, {total(found, 'oriori_rebalances_total'):.0f} "
              f"rebalances, {total(found, 'oriori_redis_errors_total'):.0f} Redis errors, "
              f"{total(found, 'process_cpu_seconds_total'):.0f} s of CPU")


def settings():
    parser = argparse.ArgumentParser(description="Steady load, rolling restarts, flat memory, then the audit.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, default=60, help="events a second")
    parser.add_argument("--restart-every", type=float, default=45, help="seconds between restarts of the rolled workers")
    parser.add_argument("--customers", type=int, default=5000)
    return parser.parse_args()


def run(rig, options):
    rig.settings["timeouts"] = {"progress": "10m"}  # a machine that stands still for minutes is not what is looked for
    soak = Soak(rig, options)
    wait_for("the lasting worker to be ready", 120, lambda: rig.alive() or ask(soak.port, "/readyz")[0] == 200)
    soak.run()
    soak.numbers()
    soak.judge()
    for name in list(rig.workers):
        rig.stop(name, 120)
    print(f"  {soak.restarts} rolling restarts")
    audit(rig)


if __name__ == "__main__":
    chosen = settings()
    sys.exit(closing(ROOT / "build/soak", lambda folder: Rig(folder, "soak"), lambda rig: run(rig, chosen)))
