"""What harms the worker itself, on real servers: the test build (tests/hooks/README.md) is started, and started again, by the
rig. suite.py runs these beside its own tests."""
import collections
import re
import time

from audit import audit, changelog
from load import Load
from rig import SHARDS, Failure, home, now_ms, wait_for
from runner import claim

FAULTS = {"before_offsets:kill": 0.03, "before_commit:kill": 0.03, "before_apply:kill": 0.03, "before_load:flushall": 0.03,
          "in_recovery:kill": 0.03, "in_recovery:flushall": 0.03, "before_commit:stall": 0.01}


def faults_at_the_worst_places(rig):
    """Where random kills seldom hit: each of the places is met, by three workers under load, then the audit."""
    load = Load("places", 150, now_ms())
    hooks = {"ORIORI_FAULT": ",".join(f"{fault}:{rate}" for fault, rate in FAULTS.items())}
    names = ("a", "b", "c")
    for name in names:
        rig.start(name, hooks=hooks, instance_id=name)

    def struck():
        return collections.Counter(found for name in names
                                   for found in re.findall(r"test build: (\w+:\w+) at pass", rig.log_of(name)))

    began, ended = time.monotonic(), 0
    while set(struck()) != set(FAULTS):
        if time.monotonic() - began > 150:
            raise Failure(f"after 150 s some places were not met: {dict(struck())}")
        ended += rig.respawn()
        rig.produce(load.take(60))
        time.sleep(0.2)  # the pace of the load, not a wait for a result
    for name in names:
        rig.kill(name)
    rig.start("a")
    rig.drain()
    rig.stop("a")
    print(f"  {sum(struck().values())} faults in {time.monotonic() - began:.0f} s, {ended} workers started again: "
          + ", ".join(f"{fault} {count}" for fault, count in sorted(struck().items())))
    audit(rig)


QUARANTINE = b"\0quarantined"  # common/flow/quarantine.h
VICTIM = "victim"


def order(name, customer):
    return "orders", {"event_id": name, "customer_id": customer, "occurred_at": now_ms(), "kind": "PLACED", "order_id": name}


def crashes(rig, rule):
    return rig.log_of("a").count(f"test build: crash of {rule}")


def letters(rig):
    """Of reason quarantined, [(topic, value)]."""
    dead = [rig.schemas.decode(value)[1] for _, _, _, value in rig.read("crm.dead") if value is not None]
    return [(letter["original"]["topic"], letter["original"]["value"]) for letter in dead if letter["reason"] == "quarantined"]


def thanked(rig):
    return {action["order_id"] for action in rig.values("crm.actions") if action["rule"] == "thank_you"}


def crash_until_letters(rig, count, seconds=180):
    def found():
        rig.respawn()
        return len(letters(rig)) >= count

    wait_for(f"{count} letters quarantined", seconds, found, every=0.2)


def poison_is_found_and_put_aside(rig):
    """Records that end the worker, and a customer whose state does: three tries each, then a dead letter, and nobody else
    misses anything. The mended worker (no hooks) takes up what is redriven."""
    hooks = {"ORIORI_CRASH": f"decode:deadly-bytes,fold:deadly-fold,state:{VICTIM}"}

    def start(with_hooks):
        rig.start("a", hooks=hooks if with_hooks else None, instance_id="a")

    start(False)
    rig.produce([order(f"before-{customer}", customer) for customer in [VICTIM, *(f"n{i}" for i in range(20))]], wrong_keys=0)
    rig.drain()
    rig.stop("a")
    state = changelog(rig)[(home(VICTIM, SHARDS), VICTIM.encode())]

    # records: one ends the worker as it is decoded, one in the engine, at its customer's home; their counts are lost once
    start(True)
    rig.produce([order("after-1", "n1"), order("deadly-bytes", "n2"), order("after-2", "n2"), order("deadly-fold", "n3"),
                 order("after-3", "n3"), order("after-4", "n4")], wrong_keys=0)
    wait_for("two crashes", 120, lambda: rig.respawn() >= 0 and crashes(rig, "") >= 2, every=0.1)
    rig.redis("FLUSHALL")
    crash_until_letters(rig, 2)
    rig.drain(respawn=True)
    for rule in ("decode:deadly-bytes", "fold:deadly-fold"):
        # three count; not those in a larger batch, and those before FLUSHALL
        claim(3 <= crashes(rig, rule) <= 12, f"{rule} has ended {crashes(rig, rule)} workers")
    found = letters(rig)
    claim(len(found) == 2 and sum(b"deadly-bytes" in value for _, value in found) == 1 and
          sum(b"deadly-fold" in value for _, value in found) == 1, f"letters {found}")
    missing = {"after-1", "after-2", "after-3", "after-4"} - thanked(rig)
    claim(not missing, f"neighbours of the poison were not thanked: {missing}")

    # a customer: the index says that he is due, and each visit of him ends the worker
    rig.kill("a")
    shard = home(VICTIM, SHARDS)
    rig.redis_of(shard, "ZADD", f"crm:{{{shard}}}:wake", "0", VICTIM)
    start(True)
    rig.produce([order("beside", "n5")], wrong_keys=0)
    crash_until_letters(rig, 3)
    rig.produce([order("later", VICTIM)], wrong_keys=0)
    rig.drain(respawn=True)
    claim(3 <= crashes(rig, f"state:{VICTIM}") <= 6, f"{VICTIM} has ended {crashes(rig, 'state:')} workers")
    of_state = [value for topic, value in letters(rig) if topic == "crm.state"]
    claim(of_state == [state], f"the letter holds {of_state}, his state was {state}")
    claim(changelog(rig)[(shard, VICTIM.encode())] == QUARANTINE + state, "his state is not behind the mark in crm.state")
    claim(sum(b"later" in value for _, value in letters(rig)) == 1, "his later record is no dead letter")
    claim("later" not in thanked(rig) and "beside" in thanked(rig), "who was thanked")
    wait_for("his wake-up to be gone", 60,
             lambda: not rig.redis_of(shard, "ZSCORE", f"crm:{{{shard}}}:wake", VICTIM).strip(), every=0.3)
    shown = rig.oriori("customer", "show", VICTIM, "--config", rig.config)
    claim("quarantined" in shown.stderr, f"`oriori customer show` does not say it:\n{shown.stderr}")

    # mended
    rig.stop("a")
    start(False)
    rig.redriven = True
    for topic, count in (("crm.state", 1), ("crm.orders", None), ("crm.forward", None)):
        said = rig.oriori("dlq", "redrive", "--reason", "quarantined", "--topic", topic, "--config", rig.config).stdout
        claim("0 refused" in said and (count is None or said.startswith(f"{count} redriven")), f"{topic}: {said}")
        rig.drain()
    rig.stop("a")
    missing = {"deadly-bytes", "deadly-fold", "later"} - thanked(rig)
    claim(not missing, f"redriven, and not thanked: {missing}")
    print("  workers ended: " + ", ".join(f"{crashes(rig, rule)} by {rule}" for rule in hooks["ORIORI_CRASH"].split(",")))
    audit(rig)


TESTS = [faults_at_the_worst_places, poison_is_found_and_put_aside]
