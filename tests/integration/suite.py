"""The tests on real servers: `tests/integration/run [NAME...]`. Each test is a function that gets a fresh rig."""
import functools
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from io import BytesIO

import fastavro

import erasure
import following
import poison
from audit import audit, changelog
from collector import Collector
from kafka_servers import certificates
from load import DAY, Load
from rig import INPUTS, ROOT, SHARDS, Failure, Rig, free_port, home, now_ms, wait_for
from runner import run_suite
from scrape import ask, names_in, promtool_accepts, samples, table_agrees, total

TESTS = {}


def test(function):
    TESTS[function.__name__] = function
    return function


def steady(rig, load, seconds, step, rate=400, until=lambda: False):
    """Produces at a steady rate; calls step(seconds so far) five times a second, until it is over."""
    began = time.monotonic()
    produced = 0
    while (passed := time.monotonic() - began) < seconds and not until():
        due = int(passed * rate) - produced
        if due > 0:
            rig.produce(load.take(due))
            produced += due
        step(passed)
        time.sleep(0.2)  # the pace of the load, not a wait for a result


@test
def thank_yous_are_exactly_the_live_orders_in_time(rig):
    """Counted from the input alone: no rule engine in this test."""
    now = now_ms()
    wanted, events = set(), []
    for i in range(200):
        customer, order_id = f"t{i % 60}", f"t{i}"
        age = [0, 1, 3, 40][i % 4] * DAY + i * 1000
        events.append(("orders", {"event_id": f"p{i}", "customer_id": customer, "occurred_at": now - age, "kind": "PLACED",
                                  "order_id": order_id}))
        if i % 5 == 0:  # arrives before the placement, so there is never a live order
            events.insert(0, ("orders", {"event_id": f"x{i}", "customer_id": customer, "occurred_at": now - age + 1,
                                         "kind": "CANCELLED", "order_id": order_id}))
        elif age < 2 * DAY - 3_600_000:
            wanted.add((customer, order_id))
        if i % 7 == 0:  # the same fact again
            events.append(events[-1])
    rig.start("a")
    cancelled = [e for e in events if e[1]["kind"] == "CANCELLED"]
    rig.produce(cancelled)
    rig.drain()
    rig.produce([e for e in events if e[1]["kind"] != "CANCELLED"])
    rig.drain()
    rig.stop("a")
    sent = [(a["customer_id"], a["order_id"]) for a in rig.values("crm.actions") if a["rule"] == "thank_you"]
    if sorted(sent) != sorted(wanted):
        raise Failure(f"thank-yous: {len(sent)} sent, {len(wanted)} wanted; first differences: "
                      f"{sorted(set(sent) ^ wanted)[:5]}")
    audit(rig)


@test
def killed_ten_times_in_the_middle_of_work(rig):
    """Under steady load; each kill comes only after the worker has committed again, at a random moment of its work."""
    load = Load("kill", 150, now_ms())
    start = functools.partial(rig.start, "a", instance_id="a")  # static: the same name comes back at once
    start()
    kills, healed = [], []
    state = {"steps": rig.steps_made(), "killed_at": None, "at": None}

    def step(passed):
        if state["at"] is None and rig.steps_made() > state["steps"]:
            if state["killed_at"] is not None:
                healed.append(passed - state["killed_at"])
            state["at"] = passed + rig.random.uniform(0, 1.5)
        if state["at"] is not None and passed >= state["at"] and len(kills) < 10:
            rig.kill("a")
            kills.append(passed)
            state.update(steps=rig.steps_made(), killed_at=passed, at=None)
            start()

    steady(rig, load, 300, step, until=lambda: len(kills) == 10)
    rig.drain()
    rig.stop("a")
    healed.sort()
    print(f"  from kill -9 to the next commit: median {healed[len(healed) // 2]:.1f} s, longest {healed[-1]:.1f} s")
    audit(rig)


@test
def workers_join_and_leave(rig):
    load = Load("rebalance", 150, now_ms())
    rig.start("a")
    rig.start("b")
    script = [(6, lambda: rig.start("c")), (14, lambda: rig.stop("c")), (18, lambda: rig.kill("b")),
              (24, lambda: rig.start("b"))]

    def step(passed):
        while script and passed >= script[0][0]:
            script.pop(0)[1]()

    steady(rig, load, 30, step)
    rig.drain()
    for name in list(rig.workers):
        rig.stop(name)
    audit(rig)


@test
def redis_is_wiped_under_load(rig):
    load = Load("flush", 150, now_ms())
    rig.start("a")
    rig.start("b")
    flushes = {"next": 2.0, "count": 0}

    def step(passed):
        if passed >= flushes["next"]:
            rig.redis("FLUSHALL")
            flushes.update(next=passed + 1.5, count=flushes["count"] + 1)

    steady(rig, load, 20, step)
    rig.drain()
    for name in list(rig.workers):
        rig.stop(name)
    if flushes["count"] < 8:
        raise Failure(f"only {flushes['count']} wipes: the machine was too slow for this test to mean anything")
    audit(rig)


@test
def a_stalled_worker_comes_back_as_a_zombie(rig):
    load = Load("zombie", 150, now_ms())
    rig.start("a")
    rig.start("b")
    script = [(5, lambda: rig.signal("a", signal.SIGSTOP)), (16, lambda: rig.signal("a", signal.SIGCONT))]

    def step(passed):
        while script and passed >= script[0][0]:
            script.pop(0)[1]()

    steady(rig, load, 22, step)
    rig.drain()
    for name in list(rig.workers):
        rig.stop(name)
    audit(rig)


@test
def an_outage_longer_than_the_watchdog_is_waited_for(rig):
    """Redis and Kafka away for longer than timeouts.progress: the same process heals, no restart."""
    rig.settings["timeouts"] = {"progress": "40s", "request": "1s", "transaction": "2s"}
    load = Load("outage", 50, now_ms())
    rig.start("a")
    process = rig.workers["a"].pid
    rig.produce(load.take(300))
    rig.drain()
    rig.kill_server("redis")
    rig.produce(load.take(300))
    rig.kill_server("kafka")
    gone = time.monotonic()
    wait_for("the outage's end", 70, lambda: rig.alive() or time.monotonic() - gone > 55)
    rig.servers("up")
    rig.produce(load.take(300))
    rig.drain()
    if rig.workers["a"].pid != process:
        raise Failure("the worker was replaced")
    wait_for("the log to say that Kafka was away, and is back", 30,
             lambda: "no broker can be reached" in rig.log_of("a") and "a broker is reached again" in rig.log_of("a"))
    rig.stop("a")
    audit(rig)


@test
def every_poison_becomes_a_dead_letter_and_the_partition_goes_on(rig):
    now = now_ms()
    good = {"event_id": "g", "customer_id": "good", "occurred_at": now, "kind": "PLACED", "order_id": "g1"}
    encode = rig.schemas.encode

    def order(**changes):
        return encode("order", rig.fit("order", dict(good, **changes)))

    poison = {
        "no Avro": (b"\xff\xfe not avro", "undecodable"),
        "empty": (b"", "undecodable"),
        "cut short": (order()[:-3], "undecodable"),
        "unknown schema": (b"\0" + (999_999).to_bytes(4, "big") + order()[5:], "unknown_schema"),
        "a length that lies": (order()[:5] + b"\xfe\xff\xff\xff\x0f", "undecodable"),
        "no customer": (order(customer_id=""), "missing_field"),
        "far future": (order(occurred_at=now + 30 * DAY), "future"),
        "control character": (order(order_id="a\x07b"), "bad_text"),
    }
    rig.start("a")
    for i, (value, _) in enumerate(poison.values()):
        rig.raw("orders", i % 3, "good", value)
        after = dict(good, customer_id=f"after{i}", event_id=f"after{i}", order_id=f"after{i}")
        rig.raw("orders", i % 3, f"after{i}", order(**after), after)
    rig.flush()
    rig.drain()
    rig.stop("a")
    letters = {letter["original"]["value"]: letter for letter in rig.values("crm.dead")}
    for name, (value, reason) in poison.items():
        letter = letters.get(value)
        if letter is None:
            raise Failure(f"{name}: no dead letter with the original bytes")
        if letter["reason"] != reason or letter["original"]["topic"] != "crm.orders":
            raise Failure(f"{name}: reason {letter['reason']} of {letter['original']['topic']}, wanted {reason} of crm.orders")
    thanked = {a["customer_id"] for a in rig.values("crm.actions") if a["rule"] == "thank_you"}
    missing = {f"after{i}" for i in range(len(poison))} - thanked
    if missing:
        raise Failure(f"orders behind a poison were not thanked: {sorted(missing)}")
    audit(rig)


@test
def a_shard_without_its_offsets_stops_and_is_adopted(rig):
    """The group's offsets expire. Every shard stops and names the cure; the cure gives them back as they were."""
    load = Load("adopt", 100, now_ms())

    def adopt(shard, status, text):
        done = rig.oriori("shard", "adopt", str(shard), "--config", rig.config, check=False)
        if done.returncode != status or text not in done.stdout + done.stderr:
            raise Failure(f"adopt {shard}: status {done.returncode}, wanted {status} and {text!r}:\n{done.stdout}{done.stderr}")

    def of_shards(offsets):
        aligned = {f"crm.{topic}" for topic, (_, count) in INPUTS.items() if count == SHARDS} | {"crm.forward"}
        return {key: offset for key, offset in offsets.items() if key[0] in aligned}

    rig.start("a")
    rig.produce(load.take(1500))
    rig.drain()
    adopt(0, 1, "live members: stop all workers first")
    rig.stop("a")
    before = of_shards(rig.committed()[0])
    adopt(1, 1, "nothing to adopt")
    adopt(SHARDS, 1, "there is no shard")
    rig.forget_offsets()
    rig.start("a")
    for shard in range(SHARDS):
        wait_for(f"shard {shard} to stop loudly", 60, lambda: rig.alive() or f"oriori shard adopt {shard}" in rig.log_of("a"))
    rig.stop("a")
    for shard in range(SHARDS):
        adopt(shard, 0, "(was gone)")
    adopt(1, 1, "nothing to adopt")
    after = of_shards(rig.committed()[0])
    if after != before:
        raise Failure(f"offsets before {before}, adopted {after}")
    rig.start("a")
    rig.produce(load.take(500))
    rig.drain()
    rig.oriori("shard", "rebuild", "2", "--config", rig.config)  # under the worker's feet: it recovers
    rig.produce(load.take(500))
    rig.drain()
    rig.stop("a")
    audit(rig)


@test
def r66_a_rule_is_paused_and_resumed_on_all_shards(rig):
    def order(number):
        return ("orders", {"event_id": f"p{number}", "customer_id": f"p{number}", "occurred_at": now_ms(), "kind": "PLACED",
                           "order_id": f"p{number}"})

    def outcomes(first):
        """Of the thank-yous of forty customers, who are on all shards."""
        rig.produce([order(number) for number in range(first, first + 40)])
        rig.drain()
        wanted = {f"p{number}" for number in range(first, first + 40)}
        found = [d["outcome"] for d in rig.values("crm.decisions") if d["rule"] == "thank_you" and d["customer_id"] in wanted]
        return set(found), len(found)

    def expect(what, found, wanted):
        if found != wanted:
            raise Failure(f"{what}: {found}, wanted {wanted}")

    rig.start("a")
    expect("before", outcomes(0), ({"sent"}, 40))
    bad = rig.oriori("pause", "thank_yu", "--config", rig.config, check=False)
    expect("a misspelt rule", (bad.returncode, "nearest: thank_you" in bad.stderr), (1, True))
    rig.oriori("pause", "thank_you", "--config", rig.config)
    rig.drain()
    expect("held", outcomes(100), ({"paused"}, 40))
    rig.stop("a")
    rig.start("b")  # another worker knows it from `__meta`
    expect("still held", outcomes(200), ({"paused"}, 40))
    rig.oriori("resume", "thank_you", "--config", rig.config)
    rig.drain()
    expect("resumed", outcomes(300), ({"sent"}, 40))
    rig.stop("b")
    sent = {a["customer_id"] for a in rig.values("crm.actions") if a["rule"] == "thank_you"}
    expect("thanked", len(sent), 80)
    audit(rig)


def another_playbook(rig, name):
    """The default one with another bound of tiers, a rule renamed, and waiting marketing runs dropped."""
    text = (ROOT / "schemas/playbook.yaml").read_text()
    changes = [('"default-1"', f'"{name}"'), ("days_since_last_purchase < 60", "days_since_last_purchase < 20"),
               ("  - name: tip\n", "  - name: hint\n"), ("    class: marketing\n", "    class: marketing\n    on_change: drop\n")]
    for old, new in changes:
        if old not in text:
            raise Failure(f"the default playbook has no {old!r} any more")
        text = text.replace(old, new)
    path = rig.folder / f"{name}.yaml"
    path.write_text(text)
    return path, hashlib.sha256(text.encode()).digest()


def playbooks_of_customers(rig):
    """Under which playbook each customer's state was written last: the heads of their hashes, erased ones left out."""
    schema = fastavro.parse_schema(json.loads((ROOT / "schemas/customer_state.avsc").read_text()), {})
    found = set()
    for value in changelog(rig).values():
        state = fastavro.schemaless_reader(BytesIO(value[1:]), schema)["state"]
        if "runs" in state:
            found.add(state["runs"]["playbook"])
    return found


@test
def r81_a_playbook_is_activated_under_load(rig):
    """One act for all shards, no restart. Whoever sweeps is killed in the middle, until that was seen to happen twice."""
    rig.settings["batch"] = {"timers": 1}  # portions of one customer: long sweeps
    first = ROOT / "schemas/playbook.yaml"
    second, second_hash = another_playbook(rig, "second")
    load = Load("activate", 240, now_ms())

    def command(*arguments, check=True):
        return rig.oriori("playbook", *arguments, "--config", rig.config, check=check).stdout

    def start(name):
        rig.start(name, instance_id=name, playbook=str(first if name == "a" else second))

    start("a")
    rig.produce(load.take(600))
    rig.drain()  # by now all shards are born, by a's file: had b given birth to them all, the first activation would have nothing to do
    start("b")  # b has another file, and nothing goes by it
    rig.produce(load.take(600))
    rig.drain()
    broken = rig.folder / "broken.yaml"
    broken.write_text("version: x\n")
    refused = rig.oriori("playbook", "activate", str(broken), "--config", rig.config, check=False)
    if refused.returncode != 1 or "tiers" not in refused.stderr:
        raise Failure(f"a broken playbook: status {refused.returncode}\n{refused.stderr}")
    active = second_hash
    dry = command("activate", str(second), "--dry-run")
    if "nothing was changed" not in dry or "nothing was activated yet" not in command("list"):
        raise Failure(f"the dry run has done something:\n{dry}")

    kills = 0
    for round_ in range(20):
        path, active = (second, second_hash) if round_ % 2 == 0 else (first, hashlib.sha256(first.read_bytes()).digest())
        said = command("activate", str(path), "--no-count")
        if f"activation {round_ + 1}: playbook {active.hex()[:12]}" not in said:
            raise Failure(f"round {round_}: {said}")
        rig.produce(load.take(100))
        seen = wait_for("a sweep, or its end", 60, lambda: next(
            (words for words in [command("show")] if "sweeping, behind" in words or
             ("all shards and customers" in words and active.hex()[:12] in words)), None), every=0)
        if "sweeping" in seen:
            for name in ("a", "b"):
                rig.kill(name)
                start(name)
            kills += 1
        if kills == 2:
            break
    else:
        raise Failure(f"only {kills} of 20 sweeps were met in the middle")
    rig.produce(load.take(300))
    rig.drain()
    wait_for("all sweeps", 90, lambda: rig.alive() or ("all shards and customers" in (words := command("show"))
                                                       and words.count(active.hex()[:12]) == SHARDS), every=0.3)
    if "in force: nothing to do" not in command("activate", "--hash", active.hex()[:10]):
        raise Failure("what is in force was activated once more")
    for name in ("a", "b"):
        rig.stop(name)
    if not any("not the config's own" in rig.log_of(name) for name in ("a", "b")):
        raise Failure("nobody said that his file is not the playbook in force")
    found = playbooks_of_customers(rig)
    if found != {active[:8]}:
        raise Failure(f"customers are under {[head.hex() for head in found]}, in force is {active.hex()[:16]}")
    outcomes = {d["outcome"] for d in rig.values("crm.decisions")}
    if not {"dropped", "rule_removed"} <= outcomes:
        raise Failure(f"no waiting run was dropped: {sorted(outcomes)}")
    audit(rig)


@test
def a_changed_playbook_file_is_activated_once(rig):
    """By SIGHUP and by watching, two workers at once: one activation. A broken file changes nothing, a late one neither."""
    following.a_changed_file_is_activated_once(rig, Load("follow", 100, now_ms()))
    audit(rig)


@test
def a_broken_playbook_file_keeps_nobody_from_serving(rig):
    """A restart needs the file no more than a running worker does: what is in force is in crm.playbook. No shard is born by it."""
    following.a_broken_file_keeps_nobody_from_serving(rig)
    audit(rig)


@test
def actions_in_the_shadow_are_never_sent_again(rig):
    def orders(first):
        return [("orders", {"event_id": f"p{n}", "customer_id": f"p{n % 40}", "occurred_at": now_ms(), "kind": "PLACED",
                            "order_id": f"p{n}"}) for n in range(first, first + 40)]

    rig.start("a", actions="shadow")
    rig.produce(orders(0))
    rig.drain()
    rig.stop("a")
    if rig.values("crm.actions"):
        raise Failure("a worker in the shadow wrote to crm.actions")
    rig.start("b")  # live
    rig.produce(orders(0))  # the same facts again
    rig.produce(orders(100))
    rig.drain()
    rig.stop("b")
    shadow, live = rig.values("crm.actions.shadow"), rig.values("crm.actions")
    thanked = [{a["order_id"] for a in actions if a["rule"] == "thank_you"} for actions in (shadow, live)]
    if thanked != [{f"p{n}" for n in range(40)}, {f"p{n}" for n in range(100, 140)}]:
        raise Failure(f"thanked in the shadow {sorted(thanked[0])}, live {sorted(thanked[1])}")
    twice = {a["action_id"] for a in shadow} & {a["action_id"] for a in live if a["kind"] == "send"}
    if twice:
        raise Failure(f"{len(twice)} messages of the shadow were sent again")
    audit(rig)


@test
def a_storm_is_spread_by_the_cap_of_sends(rig):
    """Two workers find a long input: no shard sends more than its share, and everybody is thanked once."""
    cap, orders = 4, 160
    rig.produce([("orders", {"event_id": f"s{n}", "customer_id": f"s{n}", "occurred_at": now_ms(), "kind": "PLACED",
                             "order_id": f"s{n}"}) for n in range(orders)])
    port = free_port()
    rig.start("a", sends_per_second=cap, monitor={"listen": f"127.0.0.1:{port}"})
    rig.start("b", sends_per_second=cap)
    wait_for("the worker to hold back, and to say so", 60, lambda: rig.alive() or
             re.search(r"^oriori_paced_seconds_total [0-9.]*[1-9]", str(ask(port, "/metrics")[1]), re.M))
    rig.drain(seconds=240)
    for name in ("a", "b"):
        rig.stop(name)
    made, thanked = [[] for _ in range(SHARDS)], []
    for action in rig.values("crm.actions"):
        made[home(action["customer_id"], SHARDS)].append(action["made_at"].timestamp())
        thanked += [action["customer_id"]] if action["rule"] == "thank_you" else []
    if sorted(thanked) != sorted(f"s{n}" for n in range(orders)):
        raise Failure(f"{len(thanked)} thank-yous, {len(set(thanked))} customers, for {orders} orders")
    for shard, times in enumerate(made):
        times.sort()
        for first, begin in enumerate(times):
            for last in range(first, len(times)):  # 2 s are the cap's own; 3 for a worker that the machine held up
                if last - first + 1 > (times[last] - begin + 2 + 3) * cap:
                    raise Failure(f"shard {shard} made {last - first + 1} sends within {times[last] - begin:.1f} s")
    print(f"  {sum(map(len, made))} sends of {SHARDS} shards in {max(map(max, made)) - min(map(min, made)):.1f} s")
    audit(rig)


@test
def an_order_by_hand_is_thanked_within_seconds(rig):
    """The README's quick start: typed JSON in, a visible thank-you out, by our own commands."""
    rig.start("a")
    wait_for("the worker's shards", 30, lambda: rig.read("crm.steps") or rig.committed()[0][("crm.forward", 0)] >= 0)
    order = {"event_id": "hand", "customer_id": "hanako", "occurred_at": now_ms(), "kind": "PLACED", "order_id": "A-1"}
    began = time.monotonic()
    rig.told("orders", order)
    rig.oriori("produce", "orders", "--config", rig.config, input=json.dumps(order) + "\n")
    wait_for("a thank_you in crm.actions", 20,
             lambda: any(a["rule"] == "thank_you" and a["order_id"] == "A-1" for a in rig.values("crm.actions")))
    print(f"  thanked after {time.monotonic() - began:.2f} s, start of the commands included")
    shown = rig.oriori("customer", "show", "hanako", "--config", rig.config).stdout
    if "admit" not in shown:
        raise Failure(f"`oriori customer show` does not know the customer's phase:\n{shown}")
    rig.stop("a")
    audit(rig)


@test
def the_log_seam_on_a_real_broker(rig):
    """tests/unit/test_log_kafka.c: without a broker (suite `unit`) most of it has nothing to run on."""
    rig.flush()
    program = ROOT / "build/release/tests/test_log_kafka"
    run = subprocess.run([str(program)], cwd=ROOT, env=dict(os.environ, ORIORI_TEST_KAFKA=rig.bootstrap), text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    passed = set(re.findall(r"^\[ *OK *\] ([a-z]\w*)$", run.stdout, re.M))
    skipped = set(re.findall(r"^\[ *SKIPPED *\] ([a-z]\w*)$", run.stdout, re.M))
    if run.returncode or skipped or len(passed) < 8:
        raise Failure(f"status {run.returncode}, {len(passed)} passed, skipped {sorted(skipped)}\n{run.stdout}")
    print(f"  {len(passed)} tests of the log seam passed")


@test
def the_workers_numbers_are_shown(rig):
    """A real scrape: promtool takes it, the figures agree with each other, every alert's and dashboard's metric
    is in it; the playbook in force and the log's level are there too."""
    port = free_port()
    load = Load("numbers", 60, now_ms())
    rig.start("a", monitor={"listen": f"127.0.0.1:{port}"}, sends_per_second=10_000)  # a cap has figures of its own
    rig.produce(load.take(800))
    rig.raw("orders", 0, "x", b"\xff not avro")
    rig.flush()
    rig.drain()
    wait_for("the worker to be ready", 60, lambda: rig.alive() or ask(port, "/readyz")[0] == 200)

    def scraped():
        rig.alive()
        found = samples(ask(port, "/metrics")[1])
        judged = total(found, "oriori_events_total") + total(found, "oriori_undecodable_total")
        lags = [value for (name, _), value in found.items() if name == "oriori_lag_records"]
        stands = 0 < judged <= rig.produced and len(lags) == 6 and sum(lags) == 0
        return found if stands and total(found, "oriori_kafka_requests_total") > 0 else None

    found = wait_for("all records judged, no lag, librdkafka's statistics", 60, scraped)
    promtool_accepts(ask(port, "/metrics")[1])
    table_agrees((ROOT / "deploy/README.md").read_text(), ask(port, "/metrics")[1])
    for name, wanted in (("oriori_dead_letters_by_reason_total", total(found, "oriori_dead_letters_total")),
                         ("oriori_rule_actions_total", total(found, "oriori_actions_total")),
                         ("oriori_rule_decisions_total", total(found, "oriori_decisions_total")),
                         ("oriori_transaction_seconds_count", total(found, "oriori_transactions_total"))):
        if total(found, name) != wanted:
            raise Failure(f"{name} adds up to {total(found, name)}, wanted {wanted}")
    for name in ("oriori_actions_total", "oriori_forwarded_off_home_total", "oriori_off_home_ratio", "oriori_rebalances_total",
                 "oriori_redis_call_seconds_count", "oriori_kafka_brokers_up", "process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_cpu_seconds_total",
                 "oriori_recovery_seconds_count"):
        if not total(found, name) > 0:
            raise Failure(f"{name} is {total(found, name)}")
    chart = ROOT / "deploy/helm/oriori"
    known = {name for name, _ in found}
    unknown = names_in(path.read_text() for path in [chart / "rules.yaml", *chart.glob("dashboards/*.json")]) - known
    if unknown:
        raise Failure(f"alerts or dashboards ask for what no worker says: {sorted(unknown)}")
    families = known | {name.removesuffix("_bucket") for name in known}
    unknown = {name for name in names_in([(ROOT / "deploy/README.md").read_text()]) if name not in families and name != "oriori_kafka_"}
    if unknown:
        raise Failure(f"deploy/README.md names what no worker says: {sorted(unknown)}")
    print(f"  {len(found)} samples of {len(known)} names, {len(ask(port, '/metrics')[1]) / 1024:.0f} KiB a scrape")
    if ask(port, "/playbook") != (200, pathlib.Path(rig.playbook()).read_text()):
        raise Failure("/playbook is not the playbook's text")
    if "librdkafka" in rig.log_of("a"):
        raise Failure("the log shows librdkafka's lines without being asked to")
    if ask(port, "/loglevel?level=debug", "PUT") != (200, "debug\n"):
        raise Failure("the log's level cannot be set")
    rig.redis("FLUSHALL")  # something to talk about
    rig.kill_server("kafka")
    wait_for("librdkafka's lines in the log", 60, lambda: rig.alive() or "librdkafka" in rig.log_of("a"))
    rig.servers("up")
    rig.drain()
    rig.stop("a")
    audit(rig)


@test
def a_trace_goes_on_in_the_action(rig):
    """An order's traceparent comes back in its thank-you's header, with a span of the action's own, also when the order was
    forwarded home; a sampled one in what a timer sends later, another worker having taken over, and in the reward of who
    referred the buyer; sampled ones reach a collector as OTLP, here one over TLS that wants headers; one that refuses them is
    said, and one that is away holds nothing up."""
    port, monitor = free_port(), free_port()
    wanted = {"Authorization": "Bearer t0ken: x", "X-Shop": "demo"}
    keys = certificates(rig.folder / "keys")
    collector = Collector(port, keys / "server.pem", wanted)
    (keys / "headers").write_text("".join(f"{name}: {value}\n" for name, value in wanted.items()))
    parents = {}
    playbook = rig.folder / "soon.yaml"
    rig.settings["playbook"] = str(playbook)
    playbook.write_text((ROOT / "schemas/playbook.yaml").read_text().replace("\nrules:\n", """
rules:
  - name: soon
    trigger: {event: PLACED}
    delay: 20s
    class: transactional
    template: soon
    shelf: 2d
    priority: 50
    once: order
""", 1))

    def order(name, partition, traceparent, referrer=None):
        event = {"event_id": name, "customer_id": name, "occurred_at": now_ms(), "kind": "PLACED", "order_id": name,
                 "referrer_customer_id": referrer}
        parents[name] = traceparent
        rig.producer.produce("crm.orders", value=rig.schemas.encode("order", rig.fit("order", event)), key=name,
                             partition=partition, headers={"traceparent": traceparent} if traceparent else None)
        rig.produced += 1

    def trace(number, flags="01"):
        return f"00-{number:032x}-{number + 1:016x}-{flags}"

    def headers(rule="thank_you"):
        """By customer, the headers of the rule's actions."""
        found = {}
        for _, _, key, value, given in rig.read("crm.actions", headers=True):
            if rig.schemas.decode(value)[1]["rule"] == rule:
                found[key.decode()] = {name: text.decode() for name, text in given or []}
        return found

    def goes_on(name, own, parent):
        if own is None or own[:36] != parent[:36] or own[-2:] != parent[-2:] or own[36:52] == parent[36:52]:
            raise Failure(f"{name}: traceparent {own}, its cause's was {parent}")

    tracing = {"tracing": {"endpoint": f"https://127.0.0.1:{port}/v1/traces", "ca": str(keys / "ca.pem"),
                           "headers_file": str(keys / "headers")}, "monitor": {"listen": f"127.0.0.1:{monitor}"}}
    rig.start("a", **tracing)
    for partition in range(INPUTS["orders"][1]):  # all of crm.orders is forwarded: it has not S partitions
        order(f"on{partition}", partition, trace(0xabc0 + partition))
    order("off", 0, trace(0xdef0, "00"))
    order("none", 0, None)
    order("bad", 0, "00-xyz")
    order("friend", 0, trace(0xfed0), referrer="giver")
    rig.flush()
    rig.drain()
    found = headers()
    if set(found) != set(parents):
        raise Failure(f"thanked {sorted(found)}, wanted {sorted(parents)}")
    for name, parent in parents.items():
        own = found[name].get("traceparent")
        if name in ("none", "bad"):
            if own is not None:
                raise Failure(f"{name}: a trace from nowhere: {own}")
            continue
        goes_on(name, own, parent)
    rig.kill("a")
    rig.start("b", **tracing)  # what waits is in the state alone
    wait_for("the timers", 120, lambda: rig.alive() or (set(headers("soon")) == set(parents) and "giver" in headers("referral_reward")))
    later = headers("soon")
    for name, parent in parents.items():
        own = later[name].get("traceparent")
        if name in ("none", "bad", "off"):  # only what is sampled is kept
            if own is not None:
                raise Failure(f"{name}: {own} came out of the state")
            continue
        goes_on(f"{name}, later", own, parent)
    reward = headers("referral_reward")["giver"].get("traceparent")
    goes_on("giver", reward, parents["friend"])
    wait_for("spans of what timers sent", 60, lambda: rig.alive() or (
        {own["traceparent"][36:52] for own in later.values() if own.get("traceparent")} | {reward[36:52]}
        <= {s.span_id.hex() for s in collector.spans if s.name == "send crm.actions"}))
    sampled = {name for name in parents if name.startswith("on")}
    wait_for("a span of each sampled action, and links to their causes", 60, lambda: rig.alive() or (
        len([s for s in collector.spans if s.name == "send crm.actions"]) >= len(sampled) and
        {link.trace_id.hex() for s in collector.spans for link in s.links} >= {parents[n][3:35] for n in sampled}))
    if collector.refused:
        raise Failure(f"the collector refused: {collector.refused[0]}")
    sent = {(s.trace_id.hex(), s.span_id.hex(), s.parent_span_id.hex()) for s in collector.spans if s.name == "send crm.actions"}
    for name in sampled:
        own = found[name]["traceparent"]
        if (own[3:35], own[36:52], parents[name][36:52]) not in sent:
            raise Failure(f"{name}: no span {own} in {sorted(sent)}")
    if any(trace_id == parents["off"][3:35] for trace_id, _, _ in sent):
        raise Failure("a span of a trace that is not sampled")
    version = rig.oriori("version").stdout.split()[1]
    resource = collector.resources[0]
    if (resource["service.name"], resource["service.version"]) != ("oriori-test", version):
        raise Failure(f"resource {resource}, version {version}")
    kafka = {"messaging.system": "kafka"}
    for name, found in collector.attributes():
        of_all = {**kafka, "messaging.operation.name": name.split()[0], "messaging.operation.type": name.split()[0]}
        own = {"messaging.destination.name": "crm.actions"} if name == "send crm.actions" else {"messaging.consumer.group.name": "oriori-test"}
        if name not in ("send crm.actions", "process") or not found.items() >= {**of_all, **own}.items():
            raise Failure(f"span {name} has {found}")
    if "does not take spans" in rig.log_of("b"):
        raise Failure("spans are lost though the collector takes them")
    collector.wanted["Authorization"] = "Bearer other"
    order("refused", 0, trace(0x1000))
    rig.flush()
    wait_for("the refusal in the log", 60, lambda: rig.alive() or "it answers with HTTP status 401" in rig.log_of("b"))
    if "t0ken" in rig.log_of("a") + rig.log_of("b"):
        raise Failure("the log shows a secret header")
    collector.close()
    order("alone", 0, trace(0x1110))
    rig.flush()
    rig.drain()
    wait_for("the lost spans to be counted", 60, lambda: rig.alive() or  # an action's and a batch's were refused before
             total(samples(ask(monitor, "/metrics")[1]), "oriori_trace_spans_dropped_total") > 2)
    if "traceparent" not in headers()["alone"]:
        raise Failure("no traceparent while the collector is away")
    rig.stop("b")
    audit(rig)


for function in poison.TESTS + erasure.TESTS:
    test(function)

if __name__ == "__main__":
    sys.exit(run_suite("integration", {name: (Rig, function) for name, function in TESTS.items()}))
