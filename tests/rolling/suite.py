"""Three builds on one group: N (this program: reads and writes state version 3), N+1 (reads 4, writes 3) and N+2 (reads
and writes 4). In these builds version 4 is version 3 under another number (state_codec.h), so that one byte says who
wrote a state. After each test: each action once, every numbering unbroken, Redis equal to the changelog, the replay of
the steps equal, the facts those of a plain simulation."""
import base64
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import audit  # noqa: E402
from load import Load  # noqa: E402
from rig import ORIORI, ROOT, SHARDS, Failure, Rig, now_ms, wait_for  # noqa: E402
from runner import claim, run_suite  # noqa: E402

N, READS, WRITES = (str(ROOT / "build/release" / name) for name in ("oriori", "tests/oriori_reads", "tests/oriori_writes"))
TESTS = {}
REFUSED = "is none that this program reads: damaged, or of a newer version"


def test(function):
    TESTS[function.__name__] = (lambda folder: Rig(folder, function.__name__), function)
    return function


class Group:
    """Two workers under load; each change of one comes only after the group has committed what was there before."""

    def __init__(self, rig, seed):
        self.rig, self.load = rig, Load(seed, 80, now_ms())

    def feed(self, count=150):
        self.rig.produce(self.load.take(count))
        self.rig.drain(180)

    def roll(self, name, program, hard=False):
        """To another build, while records wait that were not read yet."""
        self.rig.produce(self.load.take(100))
        if name in self.rig.workers:
            self.rig.kill(name) if hard else self.rig.stop(name, 30)
        self.rig.start(name, program=program, instance_id=name)
        self.feed()

    def versions(self):
        """{version byte: how many customers' newest states have it}"""
        counts = {}
        for value in audit.changelog(self.rig).values():
            counts[value[0]] = counts.get(value[0], 0) + 1
        return counts


def replay_equals_log(rig):
    """As the audit's, but for the byte that says which build wrote a state: the replay is one build."""
    lines = []
    for line in rig.oriori("topics", "export", "--config", rig.config).stdout.splitlines():
        record = json.loads(line)
        value = base64.b64decode(record["value"])
        if record["topic"] == "crm.state" and base64.b64decode(record["key"]) != b"\0":
            claim(value[0] in (3, 4), f"a state of version {value[0]}")
            record["value"] = base64.b64encode(b"\4" + value[1:]).decode()
        lines.append(json.dumps(record) + "\n")
    export = rig.folder / "export.jsonl"
    export.write_text("".join(lines))
    done = subprocess.run([ORIORI, "simulate", "--steps", "--summary", "--playbook", rig.playbook(), export],
                          capture_output=True, text=True, timeout=600)
    claim(done.returncode == 0, f"the replay differs: {done.stdout[-800:]} {done.stderr[-800:]}")
    print("  replay " + done.stdout.strip().splitlines()[-1], flush=True)


def audit_all(rig):
    rig.settle(program=WRITES)
    audit.inputs_consumed(rig)
    actions = audit.each_action_once(rig)
    audit.each_sequence_unbroken(rig)
    customers = audit.redis_equals_changelog(rig)
    replay_equals_log(rig)
    audit.facts_equal_simulation(rig)
    print(f"  audit: {rig.produced} records in, {actions} actions, {customers} customers", flush=True)


@test
def rolled_forth_and_back_one_release_at_a_time(rig):
    group = Group(rig, "steps")
    for name in ("a", "b"):
        rig.start(name, program=N, instance_id=name)
    group.feed()
    group.roll("a", READS)              # N+1 beside N
    group.roll("b", READS, hard=True)
    group.roll("a", N)                  # and back
    group.roll("a", READS)
    claim(set(group.versions()) == {3}, f"N and N+1 write: {group.versions()}")
    group.roll("a", WRITES)             # N+2 beside N+1
    claim(group.versions().get(4, 0) > 0, f"N+2 writes: {group.versions()}")
    group.roll("b", WRITES, hard=True)
    group.roll("a", READS, hard=True)   # and back, over states of the newer version
    group.roll("a", WRITES)
    print(f"  states by version: {group.versions()}", flush=True)
    for name in ("a", "b"):
        claim(REFUSED not in rig.log_of(name), f"worker {name} met a state that it could not read")
        rig.stop(name, 30)
    audit_all(rig)


@test
def a_release_left_out_is_refused_and_nothing_is_lost(rig):
    """N beside N+2, which the rules forbid: N says so, leaves those shards alone, and harms nothing."""
    group = Group(rig, "skip")
    rig.start("new", program=WRITES, instance_id="new")
    group.feed(300)
    before = group.versions()
    claim(set(before) == {4}, f"N+2 writes: {before}")
    rig.start("old", program=N, instance_id="old")
    load = group.load
    def said():
        rig.alive()
        rig.produce(load.take(10))
        return REFUSED in rig.log_of("old")
    wait_for("the old worker to refuse a shard", 120, said, every=1)
    claim(set(group.versions()) <= {3, 4}, "states of other versions")
    rig.kill("old")
    group.feed()                        # the new one takes the shards back, and what waited is done
    rig.stop("new", 30)
    audit_all(rig)


def from_an_old_program(rig):
    """A program of before state version 3 (ORIORI_OLD names it) wrote everything; this one takes over, while the old one is
    still there: it refuses what it cannot read, and nothing is lost."""
    group = Group(rig, "old")
    rig.start("old", program=os.environ["ORIORI_OLD"], instance_id="old")
    group.feed(300)
    claim(set(group.versions()) <= {1, 2}, f"the old program writes: {group.versions()}")
    rig.start("new", program=N, instance_id="new")

    def said():
        rig.alive()
        rig.produce(group.load.take(10))
        return group.versions().get(3, 0) > 0

    wait_for("the new worker to write", 120, said, every=1)
    rig.stop("new", 30)  # the old one gets shards back whose states it cannot read

    def refused():
        rig.alive()
        rig.produce(group.load.take(10))
        return "the stored state of customer" in rig.log_of("old")

    wait_for("the old worker to refuse a shard", 120, refused, every=1)
    rig.kill("old")
    rig.start("new", program=N, instance_id="new")
    group.feed()
    print(f"  states by version: {group.versions()}", flush=True)
    rig.stop("new", 30)
    rig.settle(program=N)
    audit.inputs_consumed(rig)
    actions = audit.each_action_once(rig)
    audit.each_sequence_unbroken(rig)
    customers = audit.redis_equals_changelog(rig)
    audit.facts_equal_simulation(rig)
    print(f"  audit: {rig.produced} records in, {actions} actions, {customers} customers", flush=True)


if __name__ == "__main__":
    if "ORIORI_OLD" in os.environ:
        test(from_an_old_program)
    sys.exit(run_suite("rolling", TESTS))
