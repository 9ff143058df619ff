"""Contracts on real servers: `tests/contracts/run [NAME...]`. Each test is a function that gets a fresh rig."""
import json
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

from confluent_kafka import OFFSET_BEGINNING, TopicPartition  # noqa: E402
from rig import INPUTS, ROOT, Rig, home, wait_for  # noqa: E402
from runner import claim, run_suite  # noqa: E402
from sink import Sink  # noqa: E402

TESTS = {}


def test(function):
    TESTS[function.__name__] = function
    return function


def iso(seconds_ago=0):
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - seconds_ago))


def sample(name, **more):
    body = json.loads((ROOT / f"tests/mappings/samples/{name}.json").read_text())
    body.update(more)
    return body


def shopify_order(number, customer, **more):
    return sample("shopify-orders-create", id=number, customer={"id": customer}, created_at=iso(60), updated_at=iso(50), **more)


def start(rig, **more):
    rig.start("a", **more)
    wait_for("the worker's shards", 60, lambda: rig.alive() or rig.owned_by("a"))


def consumed(rig):
    """As rig.drain, also where a transaction's marker stands behind the last record of an input."""

    def all_read():
        rig.alive()
        offsets, _ = rig.committed()
        return all(offset < offsets[(topic, partition)] for topic in ("crm.orders", "crm.deliveries", "crm.forward")
                   for partition, offset, _, _ in rig.read(topic))

    wait_for("all input consumed", 60, all_read, every=0.3)


def put(rig, topic, body, key):
    """As a webhook bridge does it: keyed by something of its own, on whatever partition that gives."""
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    rig.raw(topic, home(key, INPUTS[topic][1]), key, value)
    rig.flush()


def with_headers(rig, topic):
    consumer = rig.consumer()
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        left, messages = set(partitions), []
        while left:
            message = consumer.poll(10)
            claim(message is not None, f"{topic} could not be read to its end")
            if message.error():
                left.discard(message.partition())
            else:
                messages.append(message)
        return messages
    finally:
        consumer.close()


@test
def a_platforms_message_in_an_action_out(rig):
    """Shopify's JSON under the bridge's own key; a SendGrid batch of many customers; actions as JSON with headers."""
    mapped = {"formats.orders": "json", "mappings.orders": "shopify sendgrid", "actions_format": "json"}
    start(rig, **mapped)
    for i in range(8):
        put(rig, "orders", shopify_order(1000 + i, 500 + i), f"order-{i}")
        put(rig, "orders", shopify_order(1000 + i, 500 + i), f"again-{i}")  # delivered twice by the bridge
    opens = [{"event": "open", "sg_event_id": f"e{i}", "timestamp": int(time.time()), "customer_id": str(500 + i)} for i in range(8)]
    put(rig, "orders", opens, "batch")
    put(rig, "orders", [{"event": "processed", "sg_event_id": "x", "timestamp": 1}], "nothing")
    put(rig, "orders", opens[:3] + [{**opens[3], "timestamp": "soon"}], "bad")
    rig.drain()
    thanked = []
    for message in with_headers(rig, "crm.actions"):
        action, headers = json.loads(message.value()), dict(message.headers())
        claim(headers["action_id"].decode() == action["action_id"], "header action_id is not the value's")
        claim(headers["schema"] == b"action", "header schema")
        claim(message.key().decode() == action["customer_id"], "an action's key is not its customer")
        if action["rule"] == "thank_you":
            thanked.append(action["customer_id"])
    claim(sorted(thanked) == [str(500 + i) for i in range(8)], f"thanked: {sorted(thanked)}")
    seen = rig.oriori("consume", "actions", "--from", "beginning", "--json", "--config", rig.config).stdout.splitlines()
    claim(sorted(a["customer_id"] for a in map(json.loads, seen) if a.get("rule") == "thank_you") == sorted(thanked),
          "oriori consume shows other actions than a consumer reads")
    shown = [json.loads(rig.oriori("customer", "show", str(500 + i), "--json", "--config", rig.config).stdout) for i in range(8)]
    claim({(s["customer_id"], s["phase"]) for s in shown} == {(str(500 + i), "affirm") for i in range(8)},
          f"an order and an open make affirm: {[(s['customer_id'], s['phase']) for s in shown]}")
    dead = rig.oriori("dlq", "show", "--config", rig.config).stdout.splitlines()
    claim(len(dead) == 1 and json.loads(dead[0])["field"] == "occurred_at", f"dead letters: {dead}")
    claim("sendgrid.yaml:" in json.loads(dead[0])["message"], dead[0])
    rig.stop("a")
    rig.settle(**mapped)
    export = rig.folder / "export.jsonl"
    export.write_text(rig.oriori("topics", "export", "--config", rig.config).stdout)
    config = rig.write_config("replay", **mapped)
    said = rig.oriori("simulate", "--steps", "--summary", "--config", config, "--playbook", rig.playbook(), export).stdout
    claim(said.startswith("equal: ") and " 0 actions" not in said, f"the replay with the run's mappings: {said}")


@test
def a_letter_is_redriven_once(rig):
    start(rig)  # reads Avro only
    for i in range(5):
        put(rig, "orders", shopify_order(2000 + i, 600 + i), f"o{i}")
    put(rig, "deliveries", b"\0\0\0\xff\xffx", "unknown")
    rig.drain()
    config = rig.config
    listed = rig.oriori("dlq", "list", "--config", config).stdout.splitlines()
    claim(len(listed) == 6, f"letters: {listed}")
    claim(len(rig.oriori("dlq", "list", "--reason", "undecodable", "--config", config).stdout.splitlines()) == 5, "by reason")
    claim(len(rig.oriori("dlq", "list", "--topic", "deliveries", "--config", config).stdout.splitlines()) == 1, "by topic")
    claim(rig.oriori("dlq", "list", "--to", "2001-01-01T00:00:00Z", "--config", config).stdout == "", "by time")
    claim(rig.oriori("dlq", "redrive", "--config", config, check=False).returncode == 2, "a redrive of all needs --all")
    rig.stop("a")
    start(rig, **{"formats.orders": "auto", "mappings.orders": "shopify"})
    before = len(rig.read("crm.orders"))
    said = rig.oriori("dlq", "redrive", "--topic", "crm.orders", "--config", config).stdout
    claim(said == "5 redriven, 0 refused\n", said)
    claim(len(rig.read("crm.orders")) == before + 5, "redriven records")
    consumed(rig)
    thanked = [a["customer_id"] for a in rig.values("crm.actions") if a["rule"] == "thank_you"]
    claim(sorted(thanked) == [str(600 + i) for i in range(5)], f"thanked: {thanked}")
    claim(rig.oriori("dlq", "redrive", "--topic", "orders", "--config", config).stdout == "0 redriven, 0 refused\n", "twice")
    place = next(line for line in listed if "crm.orders" in line).split()[0]
    again = rig.oriori("dlq", "redrive", place, "--config", config, check=False)
    claim(again.returncode == 1 and "redriven before" in again.stderr, again.stderr)
    claim(len(rig.read("crm.orders")) == before + 5, "a refused redrive wrote")
    claim(rig.oriori("dlq", "redrive", place, "--force", "--config", config).stdout == "1 redriven, 0 refused\n", "force")
    claim(len(rig.read("crm.orders")) == before + 6, "a forced redrive")
    consumed(rig)
    claim(len([a for a in rig.values("crm.actions") if a["rule"] == "thank_you"]) == 5, "a duplicate was thanked again")
    claim(rig.oriori("dlq", "drop", "--all", "--config", config).stdout == "1 dropped, 0 refused\n", "drop")
    claim(rig.oriori("dlq", "list", "--config", config).stdout == "", "nothing waits")
    claim(len(rig.oriori("dlq", "list", "--all", "--config", config).stdout.splitlines()) == 6, "all are kept")
    rig.stop("a")


# ---- the example mailer


def action(customer, kind="send", action_id=None, send_in=0, expires_in=3600, channel="email"):
    now = int(time.time() * 1000)
    return {"type": "action", "kind": kind, "action_id": action_id or str(uuid.uuid4()), "customer_id": customer,
            "template": "thank_you", "channel": channel, "send_after": now + int(send_in * 1000),
            "expires_at": now + int(expires_in * 1000) if expires_in is not None else None, "variables": {"order_id": "1"}}


class Post:
    """The example mailer on a state of its own, that can be killed."""

    def __init__(self, rig, sink):
        self.rig, self.sink = rig, sink
        self.addresses, self.state = rig.folder / "addresses.json", rig.folder / "mailer.sqlite"
        self.addresses.write_text(json.dumps({f"c{i}": f"c{i}@example.com" for i in range(200)}))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "deploy/examples/mailer.py"), "--bootstrap", self.rig.bootstrap, "--smtp",
             f"127.0.0.1:{self.sink.port}", "--state", str(self.state), "--addresses", str(self.addresses)],
            stdout=(self.rig.folder / "mailer.log").open("a"), stderr=subprocess.STDOUT)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def states(self):
        if not self.state.exists():
            return {}
        with sqlite3.connect(f"file:{self.state}?mode=ro", uri=True, timeout=10) as db:
            try:
                return dict(db.execute("SELECT id, state FROM actions"))
            except sqlite3.OperationalError:
                return {}


@test
def the_mailer_never_sends_twice(rig):
    """Killed again and again while it works; every action is in the topic twice."""
    sink = Sink()
    post = Post(rig, sink)
    actions = [action(f"c{i}") for i in range(150)]
    for a in actions + actions:
        rig.raw("actions", home(a["customer_id"], 4), a["customer_id"], json.dumps(a).encode())
    rig.flush()
    kills, chance = 0, random.Random(7)
    while kills < 6:
        post.start()
        have = len(sink.actions)
        wait_for("a few more mails", 60, lambda: len(sink.actions) > min(have + chance.randrange(1, 15), 148), every=0.002)
        post.kill()
        kills += 1
    post.start()
    ids = {a["action_id"] for a in actions}
    wait_for("the rest", 60, lambda: set(post.states()) == ids and not set(post.states().values()) & {"waiting", "sending"})
    states = post.states()
    post.kill()
    unsure = {key for key, state in states.items() if state == "unsure"}
    claim(len(sink.actions) == len(set(sink.actions)), "a mail went out twice")
    claim(len(unsure) <= kills, f"{len(unsure)} unsure after {kills} kills")
    claim(set(sink.actions) | unsure == ids, "a mail is missing")


@test
def the_mailer_keeps_the_contract(rig):
    sink = Sink()
    post = Post(rig, sink)
    plain, revoked, expired = action("c1"), action("c2", send_in=60), action("c3", expires_in=-1)
    later, insert, stranger = action("c4", send_in=5), action("c5", channel="insert"), action("nobody")
    late = action("c6")
    after = [action("c6", kind="revoke", action_id=late["action_id"]), late]  # the revoke is seen first
    for a in [plain, revoked, expired, later, insert, stranger, action("c2", kind="revoke", action_id=revoked["action_id"])] + after:
        rig.raw("actions", home(a["customer_id"], 4), a["customer_id"], json.dumps(a).encode())
    rig.flush()
    post.start()
    wait_for("both mails", 60, lambda: len(sink.actions) == 2)
    claim(sink.taken_at[later["action_id"]] * 1000 >= later["send_after"], "sent before its time")
    wait_for("all judged", 60, lambda: "waiting" not in post.states().values())
    post.kill()
    states = post.states()
    claim(sorted(sink.actions) == sorted([plain["action_id"], later["action_id"]]), f"sent: {sink.actions}")
    claim(states[revoked["action_id"]] == "revoked" and states[late["action_id"]] == "revoked", "revoked")
    claim(states[expired["action_id"]] == "expired" and states[stranger["action_id"]] == "no address", "expired, no address")
    claim(insert["action_id"] not in states, "an insert is not the mailer's")


if __name__ == "__main__":
    sys.exit(run_suite("contracts", {name: (Rig, function) for name, function in TESTS.items()}))
