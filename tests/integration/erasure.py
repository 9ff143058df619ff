"""Where a customer's data lies before and after ERASED (R31), byte by byte: the table of deploy/personal-data.md."""
import json
import re

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from audit import audit, changelog, is_erased
from collector import Collector
from rig import INPUTS, SHARDS, free_port, home, now_ms, wait_for
from runner import claim
from scrape import ask

WHO = "who-71c4"
# What he told, each a text that is nowhere else.
ORDER, GOAL, CAMPAIGN = "order-5e0b", "goal-93aa", "campaign-27d1"
COMMENT, ANSWER, NOTE, BROKEN = "comment-c2f8", "answer-6b19", "note-08e5", "broken-4f47"
NO_SUCH_SCORE = 99  # nps ends at 10: the answer becomes a dead letter


def told(now):
    """His events, all of them away from home, so that each is forwarded whole."""
    def event(number, topic, **fields):
        return topic, {"event_id": f"e{number}", "customer_id": WHO, "occurred_at": now - 60_000 + number, **fields}

    answer = {"survey_id": "s", "purpose": "EFFECT"}
    return [event(1, "customers", kind="REGISTERED", channel="EMAIL", marketing_consent=True, note=NOTE),
            event(2, "orders", kind="PLACED", order_id=ORDER, campaign=CAMPAIGN, email_registered=True, marketing_consent=True,
                  lines=[{"sku": "DAILY-01", "quantity": 1, "unit_price": 3000}], currency="JPY"),
            event(3, "deliveries", kind="DELIVERED", order_id=ORDER),
            event(4, "surveys", response_id="r1", nps=9, goal=GOAL, comment=COMMENT, answers={"q": ANSWER}, **answer),
            event(5, "surveys", response_id="r2", nps=NO_SUCH_SCORE, comment=BROKEN, **answer)]


def tell(rig, events):
    for topic, event in events:
        tell_one(rig, topic, event)
    rig.flush()
    rig.drain()


def tell_one(rig, topic, event):
    schema, partitions = INPUTS[topic]
    value = rig.schemas.encode(schema, rig.fit(schema, event))
    elsewhere = next(p for p in range(partitions) if p != home(WHO, SHARDS))
    rig.producer.produce(f"crm.{topic}", value=value, key="elsewhere", partition=elsewhere, on_delivery=rig.delivered,
                         headers={"traceparent": f"00-{0x71c4:032x}-{0x5e0b:016x}-01"})
    rig.produced += 1
    if event.get("nps") != NO_SUCH_SCORE:
        rig.told(topic, event)


def contents(rig, topics):
    """{topic: all that is there of keys, values and headers}."""
    return {topic: b"\n".join(part for _, _, key, value, headers in rig.read(topic, headers=True)
                              for part in (key, value, *(text for _, text in headers or [])) if part) for topic in topics}


def topics_with(text, found):
    return {topic for topic, there in found.items() if text.encode() in there}


def all_topics(rig):
    return [name for name in AdminClient({"bootstrap.servers": rig.bootstrap}).list_topics(timeout=30).topics if name.startswith("crm.")]


REDIS_TEXTS = """local out = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local read = {string={'GET', key}, list={'LRANGE', key, 0, -1}, zset={'ZRANGE', key, 0, -1}, hash={'HGETALL', key}}
  local found = redis.call(unpack(read[kind]))
  for _, text in ipairs(type(found) == 'table' and found or {found}) do
    for _, wanted in ipairs(ARGV) do
      if string.find(text, wanted, 1, true) or string.find(key, wanted, 1, true) then out[#out + 1] = wanted .. ' ' .. key end
    end
  end
end
return out"""


def redis_keys_with(rig, *texts):
    """{text: keys} of all of Redis, whatever its kind, where the text is in the key or in what it holds."""
    found = {text: set() for text in texts}
    for line in rig.redis("--raw", "EVAL", REDIS_TEXTS, "0", *texts).decode().splitlines():
        if line:
            text, key = line.split(" ", 1)
            found[text].add(key)
    return found


def before(rig, keys):
    """It is all there: what the searches after the erasure do not find, they could have found."""
    there = contents(rig, all_topics(rig))
    inputs = {f"crm.{topic}" for topic in INPUTS}
    for text, wanted in ((COMMENT, {"crm.surveys", "crm.forward"}), (ANSWER, {"crm.surveys", "crm.forward"}),
                         (NOTE, {"crm.customers", "crm.forward"}), (BROKEN, {"crm.surveys", "crm.dead"})):
        found = topics_with(text, there)
        claim(found == wanted, f"{text} lies in {sorted(found)}")
    for text in (ORDER, GOAL, CAMPAIGN):
        found = topics_with(text, there)
        claim(found & inputs and found >= {"crm.forward", "crm.state"}, f"{text} lies in {sorted(found)}")
        claim(found.isdisjoint({"crm.steps", "crm.playbook", "crm.dead"}), f"{text} lies in {sorted(found)}")
    for topic in ("crm.surveys", "crm.forward", "crm.dead", "crm.state"):  # the page's way to see it
        shown = rig.oriori("consume", topic, "--from", "beginning", "--config", rig.config).stdout
        claim(WHO in shown, f"consume {topic} does not show {WHO}: {shown[:300]}")
    found = redis_keys_with(rig, WHO, ORDER, GOAL, CAMPAIGN, COMMENT, ANSWER, NOTE, BROKEN)
    claim(found[WHO] == set(keys.values()), f"before: {WHO} is in {found[WHO]}")
    claim(all(keys["c"] in found[text] for text in (ORDER, GOAL, CAMPAIGN)), f"before: {found}")
    claim(not any(found[text] for text in (COMMENT, ANSWER, NOTE, BROKEN)), f"free text in Redis: {found}")


def after(rig, keys, shard):
    """Of him Redis has the tombstone and nothing else, crm.state's newest is the same few bytes; what waited is decided
    `erased`, what could still go out is revoked."""
    texts = (ORDER, GOAL, CAMPAIGN, COMMENT, ANSWER, NOTE, BROKEN)
    found = redis_keys_with(rig, WHO, *texts)
    claim(found[WHO] == {keys["c"]} and not any(found[text] for text in texts), f"after: {found}")
    tombstone = changelog(rig)[shard, WHO.encode()]
    claim(is_erased(tombstone) and len(tombstone) < 16, f"the newest state is {tombstone}")
    claim(rig.redis("--raw", "GET", keys["c"])[:-1] == tombstone, "Redis has something else than crm.state")
    actions = [a for a in rig.values("crm.actions") if a["customer_id"] == WHO]
    revoked = {a["action_id"] for a in actions if a["kind"] == "revoke" and a["reason"] == "erased"}
    open_sends = {a["action_id"] for a in actions if a["kind"] == "send" and a["audience"] == "customer"}
    claim(open_sends and revoked >= open_sends, f"sent {open_sends}, revoked {revoked}")
    outcomes = [d["outcome"] for d in rig.values("crm.decisions") if d["customer_id"] == WHO]
    claim("erased" in outcomes and "deferred" not in outcomes[outcomes.index("erased"):], f"decisions {outcomes}")
    return tombstone


def compact_now(rig, shard):
    """The page's commands: crm.state's old values go within seconds instead of a day."""
    admin = AdminClient({"bootstrap.servers": rig.bootstrap})
    hurry = {"segment.ms": "1000", "max.compaction.lag.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}
    resource = ConfigResource(ConfigResource.Type.TOPIC, "crm.state", incremental_configs=[
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in hurry.items()])
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(60)
    others = (name for name in (f"other-{n}" for n in range(10**6)) if home(name, SHARDS) == shard)

    def clean():
        """Each record of somebody else rolls the segment before it: the open one is never compacted."""
        rig.alive()
        name = next(others)
        rig.produce([("orders", {"event_id": name, "customer_id": name, "occurred_at": now_ms(), "kind": "PLACED", "order_id": name})])
        there = contents(rig, ["crm.state"])
        return not any(topics_with(text, there) for text in (ORDER, GOAL, CAMPAIGN))

    wait_for("crm.state to be compacted", 180, clean, every=1)


def delete_consumed(rig):
    """The page's commands: what the group has consumed of crm.forward, and the letters, at once."""
    admin = AdminClient({"bootstrap.servers": rig.bootstrap})
    offsets, _ = rig.committed()
    until = [TopicPartition(topic, p, offset) for (topic, p), offset in offsets.items() if topic == "crm.forward" and offset > 0]
    until += [TopicPartition("crm.dead", p, -1) for p in range(SHARDS)]  # -1: all that there is
    for answer in admin.delete_records(until).values():
        answer.result(60)


def an_erased_customer_leaves_what_the_page_says(rig):
    shard, port, monitor = home(WHO, SHARDS), free_port(), free_port()
    keys = {name: f"crm:{{{shard}}}:{name}" + ("" if name == "wake" else f":{WHO}") for name in ("c", "d", "wake")}
    collector = Collector(port)
    rig.start("a", tracing={"endpoint": f"http://127.0.0.1:{port}/v1/traces"}, monitor={"listen": f"127.0.0.1:{monitor}"},
              logging={"level": "debug"})
    tell(rig, told(now_ms()))
    wait_for("his wake-up in the view", 60, lambda: rig.alive() or keys["wake"] in redis_keys_with(rig, WHO)[WHO])
    before(rig, keys)
    erased = {"event_id": "e9", "customer_id": WHO, "occurred_at": now_ms(), "kind": "ERASED"}
    rig.told("customers", erased)
    rig.oriori("produce", "customers", "--config", rig.config, input=json.dumps(erased))
    rig.drain()
    tell(rig, [("surveys", {**told(now_ms())[3][1], "event_id": "e10", "response_id": "r3"})])  # refused
    wait_for("a span", 60, lambda: rig.alive() or collector.spans)
    metrics = ask(monitor, "/metrics")[1]
    rig.stop("a")
    spans = str(collector.spans) + str(collector.resources)
    collector.close()
    for text in (WHO, ORDER, GOAL, CAMPAIGN, COMMENT, ANSWER, NOTE, BROKEN):
        claim(not re.search(re.escape(text), rig.log_of("a") + metrics + spans), f"{text} is in the log, the numbers or a span")
    audit(rig)  # the replay needs what is deleted below
    tombstone = after(rig, keys, shard)
    cleaned = ("crm.dead", "crm.forward", "crm.state")
    claim(topics_with(WHO, contents(rig, cleaned)) == set(cleaned), "before it is deleted by hand")
    rig.start("b")
    compact_now(rig, shard)
    rig.drain()
    rig.stop("b")
    claim(changelog(rig)[shard, WHO.encode()] == tombstone, "the tombstone went with the compaction")
    delete_consumed(rig)
    there = contents(rig, cleaned)
    left = {text: topics_with(text, there) for text in (COMMENT, NOTE, BROKEN, GOAL, WHO)}
    claim(left == {COMMENT: set(), NOTE: set(), BROKEN: set(), GOAL: set(), WHO: {"crm.state"}}, f"left by hand: {left}")
    rig.oriori("shard", "rebuild", str(shard), "--config", rig.config)
    rig.settle()
    claim(redis_keys_with(rig, WHO, GOAL) == {WHO: {keys["c"]}, GOAL: set()}, "a rebuilt view knows more of him")
    shown = rig.oriori("customer", "show", WHO, "--config", rig.config)
    claim("eras" in shown.stdout, f"customer show says {shown.stdout!r}")


TESTS = [an_erased_customer_leaves_what_the_page_says]
