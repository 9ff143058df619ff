"""What harms the worker itself, on real servers: the test build (tests/hooks/README.md) is started, and started again, by the
rig. suite.py runs these beside its own tests."""
import collections
import re
import time

from audit import audit
from load import Load
from rig import Failure, now_ms

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


TESTS = [faults_at_the_worst_places]
