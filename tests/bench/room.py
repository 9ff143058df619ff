"""What a customer takes: Redis, with and without histories of decisions, and Kafka, by topic.

    build/venv/bin/python tests/bench/room.py [--customers N] [--histories 0,20]

The demo shop's year, dated so that it ends now, goes through a worker on a real Kafka and Redis. Redis: `used_memory` after, less
that before, by customer. Kafka: the bytes of the topics' log segments, uncompacted: what a year read at once leaves.
"""
import argparse
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.path.insert(0, str(ROOT / "tests/bench"))
import rig as rig_module  # noqa: E402
from audit import changelog  # noqa: E402
from rig import Failure, Rig, wait_for  # noqa: E402
from worker import shop_events  # noqa: E402

TOPICS = ("orders", "deliveries", "surveys", "email-opens", "customers", "forward", "state", "steps", "actions", "transitions",
          "decisions")


def redis_bytes(rig):
    lines = dict(line.split(":", 1) for line in rig.redis("INFO", "memory").decode().splitlines() if ":" in line)
    return int(lines["used_memory"])


def segment_bytes(rig, topic):
    folders = (rig.folder / "servers/kafka/data").glob(f"crm.{topic}-*")
    return sum(file.stat().st_size for folder in folders for file in folder.glob("*.log"))


def ready(rig):
    return rig.alive() or rig.owned_by("a")


def measure(rig, events):
    rig.start("a")
    wait_for("a ready worker", 120, lambda: ready(rig))
    before = redis_bytes(rig)
    rig.produce(events, wrong_keys=0)
    rig.drain(1200)
    rig.stop("a", 60)
    after = redis_bytes(rig)
    sizes = sorted(len(value) for value in changelog(rig).values())
    return sizes, after - before, {topic: segment_bytes(rig, topic) for topic in TOPICS}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1500)
    parser.add_argument("--histories", default="0,20", help="values of redis.history")
    arguments = parser.parse_args()
    events = list(shop_events(None, arguments.customers))
    for history in map(int, arguments.histories.split(",")):
        rig_module.HISTORY = history
        rig_module.INPUTS = {topic: (schema, rig_module.SHARDS) for topic, (schema, _) in rig_module.INPUTS.items()}
        folder = ROOT / "build/bench/room"
        shutil.rmtree(folder, ignore_errors=True)
        with Rig(folder, settings={"decisions": "sent-and-blocked"}) as rig:
            sizes, redis, topics = measure(rig, events)
        count = len(sizes)
        print(f"redis.history {history}: {count} customers, {len(events) / count:.1f} events each; a state has {sum(sizes) / count:.0f} bytes "
              f"(median {sizes[count // 2]}, 99% {sizes[count * 99 // 100]}, largest {sizes[-1]}); Redis {redis / count:.0f} bytes a customer")
        print("  Kafka, bytes a customer: " + ", ".join(f"{topic} {size / count:.0f}" for topic, size in topics.items()), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"room: {failure}")
