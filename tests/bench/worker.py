"""What a worker costs on a real Kafka and Redis, beside a floor in the same run.

    build/venv/bin/python tests/bench/worker.py [--events N] [--shards 1,16,64]

For each S: the demo shop's first N events (dated within the last days, so that rules fire) wait in the inputs, one worker
takes them; processor seconds are the worker's own (/proc), Redis's and the broker's beside it. The floor is a plain
librdkafka consumer (Python's) that reads the same records and does nothing. "Per touched shard" comes from batches of one
event for each shard: what a transaction costs beyond its events. Machines differ: compare the columns, not the seconds.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
import rig as rig_module  # noqa: E402
from rig import Failure, Rig, home, wait_for  # noqa: E402

DAY = 86_400_000
TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def shop_events(count, customers=1500):
    """The demo shop's first `count` events (None: all), moved so that the newest lies just before now."""
    made = subprocess.run([sys.executable, ROOT / "deploy/demo-shop/generate.py", "--customers-topic", "--customers", str(customers)],
                          capture_output=True, text=True, check=True).stdout
    lines = [json.loads(line) for line in made.splitlines()[:count]]
    shift = int(time.time() * 1000) - max(line["event"]["occurred_at"] for line in lines) - 1000
    for line in lines:
        event = line["event"]
        event["occurred_at"] += shift
        if event.get("estimated_at"):
            event["estimated_at"] += shift
        yield line["topic"], event


def measure(rig, events):
    """Wall and processor seconds from a ready worker to the last input committed."""
    servers = {name: int((rig.folder / "servers" / name / "pid").read_text()) for name in ("redis", "kafka")}
    rig.start("a")
    wait_for("a ready worker", 60, lambda: min(rig.committed()[0][("crm.forward", p)] for p in range(rig_module.SHARDS)) >= 0)
    worker = rig.workers["a"].pid
    before = {name: processor_seconds(pid) for name, pid in servers.items()} | {"worker": processor_seconds(worker)}
    began = time.monotonic()
    rig.produce(events, wrong_keys=0)
    rig.drain(600)
    wall = time.monotonic() - began
    used = {name: processor_seconds(pid) - before[name] for name, pid in servers.items()}
    used["worker"] = processor_seconds(worker) - before["worker"]
    resident = int(pathlib.Path(f"/proc/{worker}/statm").read_text().split()[1]) * 4096
    return wall, used, resident


def floor(rig):
    """Processor seconds of reading the same inputs and doing nothing."""
    began = time.process_time()
    count = sum(len(rig.read(f"crm.{topic}")) for topic in rig_module.INPUTS)
    return time.process_time() - began, count


def steps_of(rig):
    return sum(1 for _ in rig.read("crm.steps"))


def per_transaction(rig, rounds):
    """One event for each shard, committed before the next round: the cost of S touched shards in one transaction."""
    shards = rig_module.SHARDS
    ids, number = {}, 0
    while len(ids) < shards:
        ids.setdefault(home(f"t{number}", shards), f"t{number}")
        number += 1
    worker = rig.workers["a"].pid
    began, steps = processor_seconds(worker), steps_of(rig)
    for round_number in range(rounds):
        now = int(time.time() * 1000)
        rig.produce([("customers", {"event_id": f"r{round_number}", "customer_id": customer, "occurred_at": now,
                                    "kind": "SUPPORT_CONTACTED"}) for customer in ids.values()], wrong_keys=0)
        rig.drain(60)
    return processor_seconds(worker) - began, steps_of(rig) - steps


def bench(shards, count, rounds):
    rig_module.SHARDS = shards
    for topic, (schema, _) in list(rig_module.INPUTS.items()):
        rig_module.INPUTS[topic] = (schema, shards)
    folder = ROOT / f"build/bench-{shards}"
    shutil.rmtree(folder, ignore_errors=True)
    events = list(shop_events(count))
    with Rig(folder, settings={"shards": shards, "decisions": "sent-and-blocked"}) as rig:
        wall, used, resident = measure(rig, events)
        idle, read = floor(rig)
        steps = steps_of(rig)
        cost, touched = per_transaction(rig, rounds)
        rig.stop("a")
    per = 1e6 / len(events)
    print(f"| {shards} | {len(events) / wall:.0f} | {used['worker'] * per:.0f} | {used['redis'] * per:.0f} | {used['kafka'] * per:.0f} | "
          f"{idle / read * 1e6:.1f} | {steps} | {cost / max(1, touched) * 1000:.2f} | {resident >> 20} |", flush=True)
    shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--shards", default="1,16,64")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print("| S | events/s | worker us/event | Redis us/event | broker us/event | floor us/record | steps | worker ms per touched "
          "shard | worker MiB |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for shards in options.shards.split(","):
        bench(int(shards), options.events, options.rounds)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench: {failure}")
