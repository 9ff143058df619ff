"""Procedures of deploy/README.md on real servers: tests/procedures/run."""
import json
import os
import subprocess
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from audit import audit
from load import Load
from rig import INPUTS, ORIORI, ROOT, SHARDS, Rig, now_ms, wait_for
from runner import claim, run_suite

TESTS, SLOW = {}, []  # slow: with ORIORI_ALL=1 (./tests/run --all)


def test(function=None, slow=False):
    if function is None:
        return lambda named: test(named, slow)
    TESTS[function.__name__] = (Rig, function)
    if slow:
        SLOW.append(function.__name__)
    return function


def thanked(rig, topic):
    """{order: action_id} of the thank-yous in a topic; an order that is thanked twice there is a failure."""
    found = {}
    for action in rig.values(topic):
        if (action["rule"], action["kind"]) == ("thank_you", "send"):
            claim(action["order_id"] not in found, f"{topic}: {action['order_id']} is thanked twice")
            found[action["order_id"]] = action["action_id"]
    return found


def orders(rig, name, count):
    """New customers' first orders, to be thanked. Returns their ids."""
    ids = [f"{name}{number}" for number in range(count)]
    events = [("orders", {"event_id": i, "customer_id": i, "order_id": i, "kind": "PLACED", "occurred_at": now_ms()}) for i in ids]
    rig.produce(events)
    return set(ids)


def customers(rig, config, at):
    listed = rig.oriori("customer", "list", "--at", str(at), "--config", config).stdout
    return {record["customer_id"]: record for record in map(json.loads, listed.splitlines())}


def same(one, other, words):
    claim(set(one) == set(other), f"{words}: customers of one side only: {sorted(set(one) ^ set(other))[:5]}")
    for customer, record in one.items():
        claim(other[customer] == record, f"{words}: {customer}\n  {json.dumps(record)}\n  {json.dumps(other[customer])}")


def one_id_each(one, other):
    """Whatever both have thanked for has one action_id, so that a mailer sends it once. (Whether an order that is cancelled at
    once is thanked may depend on what arrives first: R1.)"""
    for order in set(one) & set(other):
        claim(one[order] == other[order], f"the thank-you for {order} has two ids: {one[order]}, {other[order]}")


class Green:
    """A second application beside a rig's: its own name, prefix, view and shards; the first one's inputs."""

    def __init__(self, rig, shards, playbook=None):
        self.rig, self.shards, self.worker = rig, shards, None
        inputs = "".join(f"  {name.replace('-', '_')}: crm.{name}\n" for name in INPUTS)
        self.text = (f"application_id: green\nshards: {shards}\nstart: earliest\nschemas: {ROOT}/schemas\n"
                     f"playbook: {playbook or rig.playbook()}\ntransactional_id: green-a\n"
                     f"topics:\n  prefix: green.\n{inputs}"
                     f"redis:\n  url: redis://127.0.0.1:{rig.redis_port}/1\nkafka:\n  bootstrap.servers: {rig.bootstrap}\n")
        self.config = self.write("shadow")
        rig.oriori("topics", "create", "--config", self.config)

    def write(self, actions):
        path = self.rig.folder / f"green-{actions}.yaml"
        path.write_text(f"actions: {actions}\n{self.text}")
        return str(path)

    def start(self, actions):
        log = (self.rig.folder / "green.log").open("a")
        self.rig.workers["green"] = subprocess.Popen([ORIORI, "worker", "--config", self.write(actions)], stdout=log, stderr=log)

    def caught_up(self):
        """Its group has consumed the inputs and its own forwards to their ends."""
        self.rig.alive()
        consumer = Consumer({"bootstrap.servers": self.rig.bootstrap, "group.id": "green", "enable.auto.commit": False})
        try:
            inputs = [TopicPartition(f"crm.{name}", p) for name, (_, count) in INPUTS.items() for p in range(count)]
            if any(p.offset < consumer.get_watermark_offsets(p, 30)[1] for p in consumer.committed(inputs, 60)):
                return False
            forwards = [TopicPartition("green.forward", p) for p in range(self.shards)]
            committed = {p.partition: p.offset for p in consumer.committed(forwards, 60)}
        finally:
            consumer.close()
        return all(offset < committed[partition] for partition, offset, _, _ in self.rig.read("green.forward"))

    def catch_up(self):
        wait_for("the second application to have read all", 120, self.caught_up)


@test
def blue_and_green_with_another_number_of_shards(rig):
    """The second one runs in the shadow, agrees, and takes over: nothing is lost, and what both send has one action_id."""
    load = Load("blue", 120, now_ms())
    rig.start("blue")
    rig.produce(load.take(600))
    first = orders(rig, "first", 20)
    rig.drain()
    green = Green(rig, SHARDS + 2)
    green.start("shadow")
    second = orders(rig, "second", 20)
    rig.drain()
    green.catch_up()
    clock = now_ms()
    same(customers(rig, rig.config, clock), customers(rig, green.config, clock), "blue and green")
    blue, shadow = thanked(rig, "crm.actions"), thanked(rig, "green.actions.shadow")
    claim(first | second <= set(blue) and first | second <= set(shadow), f"thanked: {len(blue)} by blue, {len(shadow)} in the shadow")
    one_id_each(blue, shadow)
    # The order of the switch: the shadow first, so that nothing is decided only where nobody reads it.
    rig.stop("green")
    both = orders(rig, "both", 20)
    rig.drain()
    rig.stop("blue")
    between = orders(rig, "between", 20)
    green.start("live")
    after = orders(rig, "after", 20)
    green.catch_up()
    rig.stop("green")
    blue, live = thanked(rig, "crm.actions"), thanked(rig, "green.actions")
    claim(both | between | after <= set(live), f"not thanked by green: {sorted((both | between | after) - set(live))[:5]}")
    claim(set(live) & set(blue) == both, "only what came between the two stops is sent twice")
    one_id_each(blue, live)
    print(f"  {len(blue)} thanked by blue, {len(live)} by green, {len(both)} by both under one id each")
    rig.start("blue")  # for the audit alone: it wants all that was told to be read
    rig.drain()
    rig.stop("blue")
    audit(rig)


@test(slow=True)
def another_playbook_from_the_first_event_on(rig):
    """Beside what runs, in the shadow: its customers are those of plain `simulate` under that playbook."""
    playbook = rig.folder / "other.yaml"
    text = (ROOT / "schemas/playbook.yaml").read_text().replace('"default-1"', '"other"')
    for bound in ("< 60", "< 90", ">= 90"):
        claim(f"days_since_last_purchase {bound}" in text, "the default playbook has changed: this test wants other bounds")
        text = text.replace(f"days_since_last_purchase {bound}", f"days_since_last_purchase {bound[:-1].replace('6', '1').replace('9', '2')}0")
    playbook.write_text(text)
    rig.start("blue")
    rig.produce(Load("replay", 120, now_ms()).take(800))
    rig.drain()
    green = Green(rig, SHARDS, playbook)
    green.start("shadow")
    green.catch_up()
    rig.stop("green")
    rig.stop("blue")
    clock, told = now_ms(), rig.folder / "told.jsonl"
    told.write_text("".join(json.dumps(line) + "\n" for line in rig.events))
    expected = rig.oriori("simulate", "--states", "--until", str(clock), "--playbook", str(playbook), str(told)).stdout
    expected = {r["customer_id"]: r for r in map(json.loads, expected.splitlines()) if r["type"] == "state"}
    found = customers(rig, green.config, clock)
    same(expected, found, "simulate and the second application")
    moved = sum(found[customer] != record for customer, record in customers(rig, rig.config, clock).items())
    claim(moved > 0, "the other playbook puts nobody elsewhere: this test shows nothing")
    claim(not rig.values("green.actions"), "the second application was to write to its shadow alone")
    print(f"  {moved} of {len(found)} customers stand elsewhere")
    audit(rig)


def mirror(rig, other):
    """What a mirror or an archive has: each input record with its key, partition, time and headers."""
    consumer = rig.consumer()
    partitions = [TopicPartition(f"crm.{name}", p, OFFSET_BEGINNING) for name, (_, count) in INPUTS.items() for p in range(count)]
    consumer.assign(partitions)
    left = {(p.topic, p.partition) for p in partitions}
    while left:
        message = consumer.poll(30)
        claim(message is not None, "the inputs cannot be read to their ends")
        if message.error():
            claim(message.error().name() == "_PARTITION_EOF", f"{message.error()}")
            left.discard((message.topic(), message.partition()))
            continue
        other.producer.produce(message.topic(), message.value(), message.key(), message.partition(),
                               timestamp=message.timestamp()[1], headers=message.headers(), on_delivery=other.delivered)
        other.producer.poll(0)
        other.produced += 1
    consumer.close()
    other.flush()
    other.events = list(rig.events)


@test
def a_cluster_lost_with_its_redis(rig):
    """Kafka and Redis are gone for good; the inputs are in a mirror. The customers come back; what is sent again has its id."""
    rig.start("a")
    rig.produce(Load("lost", 120, now_ms()).take(600))
    placed = orders(rig, "before", 20)
    rig.drain()
    sent = thanked(rig, "crm.actions")
    with Rig(rig.folder / "other", seed=2) as other:
        mirror(rig, other)
        # The first cluster's Redis is no use to the other: it is refused by name, and not touched.
        held = rig.redis("DBSIZE")
        other.start("wrong", redis_url=rig.redis_servers.url)
        wait_for("the worker with the wrong Redis to end", 90, lambda: other.workers["wrong"].poll() is not None)
        claim(other.workers.pop("wrong").returncode == 1 and "another Kafka cluster" in other.log_of("wrong"), "it did not say why")
        claim(rig.redis("DBSIZE") == held, "the other cluster's worker wrote to the first one's Redis")
        rig.kill("a")
        for name in ("kafka", "redis"):
            rig.kill_server(name)
        other.start("a")
        new = orders(other, "after", 20)
        other.drain()
        other.stop("a")
        again = thanked(other, "crm.actions")
        claim(placed <= set(sent) and placed | new <= set(again), f"{len(sent)} thanked before, {len(again)} by the new cluster")
        one_id_each(sent, again)
        print(f"  {len(set(sent) & set(again))} sent again under the same ids, {len(new)} new")
        audit(other)


if __name__ == "__main__":
    sys.exit(run_suite("procedures", TESTS, [name for name in TESTS if name not in SLOW or os.environ.get("ORIORI_ALL")]))
