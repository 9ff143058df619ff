"""The tests of the suite `reach`: `tests/reach/run [NAME...]`. Each is a function that gets a fresh rig."""
import concurrent.futures
import os
import shutil
import sys
import time
import traceback

from audit import audit
from load import Load
from redis_servers import cli
from rig import ROOT, SHARDS, Failure, Rig, wait_for

TESTS = {}


def test(**options):
    def add(function):
        TESTS[function.__name__] = (function, options)
        return function

    return add


def now_ms():
    return int(time.time() * 1000)


def feed(rig, load, until, seconds=90, rate=200):
    """A steady load until the condition holds; the workers must live."""
    began, produced = time.monotonic(), 0
    while not until():
        passed = time.monotonic() - began
        if passed > seconds:
            raise Failure(f"under load for {seconds} s in vain")
        due = int(passed * rate) - produced
        if due > 0:
            rig.produce(load.take(due))
            produced += due
        rig.alive()
        time.sleep(0.1)  # the pace of the load, not a wait for a result


def commits(rig, count):
    """A condition: the worker has committed `count` times from now on."""
    wanted = rig.steps_made() + count
    return lambda: rig.steps_made() >= wanted


def applies(rig, shards=range(SHARDS)):
    """A condition: the view of each of these shards has moved from where it is now."""
    def positions():
        return [cli(rig.redis_servers.at(h), "HGET", f"crm:{{{h}}}:meta", "pos", check=False) for h in shards]

    before = positions()
    return lambda: all(new and new != old for new, old in zip(positions(), before))


def end(rig):
    rig.drain()
    for name in list(rig.workers):
        rig.stop(name)
    audit(rig)


@test(redis="sentinel")
def sentinel_a_failover_that_loses_writes_is_healed(rig):
    """The replica is cut off, the master takes more, the master dies: the promoted one is behind, and the worker knows."""
    load, servers = Load("sentinel", 120, now_ms()), rig.redis_servers
    rig.start("a")
    process = rig.workers["a"].pid
    feed(rig, load, applies(rig))
    servers.part_replica()
    old, spare = servers.at(), servers.other().port
    feed(rig, load, applies(rig))

    def position(port):
        return [int(cli(port, "HGET", f"crm:{{{h}}}:meta", "pos")) for h in range(SHARDS)]

    ahead, behind = position(old), position(spare)
    if not all(a > b for a, b in zip(ahead, behind)):
        raise Failure(f"nothing would be lost: master {ahead}, replica {behind}")
    servers.kill(0)
    feed(rig, load, lambda: servers.at() == spare)
    feed(rig, load, applies(rig))
    servers.heal()  # the old master, empty: the sentinels make it a replica
    feed(rig, load, lambda: "role:slave" in cli(old, "INFO", "replication", check=False))
    cli(spare, "CONFIG", "SET", "masterauth", "")
    feed(rig, load, lambda: "master_link_status:up" in cli(old, "INFO", "replication", check=False))
    cli(servers.sentinels[0].port, "SENTINEL", "FAILOVER", "m")  # by hand: both live, connections are cut, READONLY
    feed(rig, load, lambda: servers.at() == old)
    feed(rig, load, applies(rig))
    if rig.workers["a"].pid != process:
        raise Failure("the worker was replaced")
    end(rig)


@test(redis="cluster")
def cluster_a_failover_a_moved_slot_and_a_master_that_comes_back_empty(rig):
    load, servers = Load("cluster", 200, now_ms()), rig.redis_servers
    rig.start("a")
    rig.start("b")
    feed(rig, load, applies(rig))
    where = [servers.at(shard) for shard in range(SHARDS)]
    if len(set(where)) != 3:
        raise Failure(f"the shards are not spread over the masters: {where}")
    dead = servers.kill(1)
    feed(rig, load, lambda: servers.at(1) == servers.nodes[3].port)
    feed(rig, load, applies(rig))
    servers.heal()
    servers.settle()
    target = servers.at(0)
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        moving = other.submit(servers.move, 3, target, pause=0.5)
        feed(rig, load, moving.done)
    if moving.result() < 20 or servers.at(3) != target:
        raise Failure(f"the slot did not move: {moving.result()} keys, at {servers.at(3)}")
    feed(rig, load, applies(rig))
    empty = servers.kill(2)
    if empty == dead or empty != servers.nodes[3].port:
        raise Failure(f"shard 2 was expected on the promoted node, it was at {empty}")
    feed(rig, load, lambda: servers.at(2) == dead)  # its former master, a replica since
    feed(rig, load, applies(rig))
    servers.heal()
    servers.wipe()
    feed(rig, load, applies(rig))
    end(rig)


def main():
    names = sys.argv[1:] or list(TESTS)
    passed = failed = 0
    for name in names:
        folder = ROOT / "build/reach" / name
        shutil.rmtree(folder, ignore_errors=True)
        began = time.monotonic()
        function, options = TESTS[name]
        try:
            with Rig(folder, **options) as rig:
                function(rig)
            passed += 1
            print(f"ok     {name} ({time.monotonic() - began:.0f} s)", flush=True)
            if not os.environ.get("ORIORI_KEEP"):
                shutil.rmtree(folder, ignore_errors=True)
        except Exception as error:  # a test's failure or trouble of its servers: both count, the others run on
            failed += 1
            if not isinstance(error, Failure):
                traceback.print_exc()
            print(f"FAILED {name}: {error}\n       logs are in {folder}", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
