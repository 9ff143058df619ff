"""What the suites on real servers share: each test in servers of its own, a line for each, and the closing line."""
import os
import pathlib
import shutil
import sys
import time
import traceback

from rig import ROOT, Failure


def claim(condition, words):
    if not condition:
        raise Failure(words)


def run_one(area, name, make_rig, test):
    """True when it passed. A failed test's folder, build/AREA/NAME, stays; with ORIORI_KEEP=1 the others' too."""
    folder = ROOT / "build" / area / name
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    try:
        with make_rig(folder) as rig:
            test(rig)
    except Exception as error:  # a test's failure or trouble of its servers: both count, the others run on
        if not isinstance(error, Failure):
            traceback.print_exc()
        print(f"FAILED {name}: {error}\n       logs are in {folder}", flush=True)
        return False
    print(f"ok     {name} ({time.monotonic() - began:.0f} s)", flush=True)
    if not os.environ.get("ORIORI_KEEP"):
        shutil.rmtree(folder, ignore_errors=True)
    return True


def closing(folder, make_rig, test):
    """For a program that is one long test: its folder, which stays, the closing line, and the exit status."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with make_rig(pathlib.Path(folder)) as rig:
            test(rig)
    except Failure as failure:
        print(f"FAILED: {failure}\n        logs are in {folder}")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    print("1 passed, 0 failed, 0 skipped")
    return 0


def run_suite(area, tests, names=None):
    """tests: {name: (make_rig(folder), test(rig))}. Runs those named on the command line, else names, else all. Returns
    the exit status."""
    results = [run_one(area, name, *tests[name]) for name in sys.argv[1:] or names or tests]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    return 0 if all(results) else 1
