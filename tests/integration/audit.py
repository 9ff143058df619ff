"""What must hold after every test, whatever was killed. Run it with the workers stopped."""
import collections
import json
import subprocess

from rig import HISTORY, ORIORI, SHARDS, Failure, home, now_ms

STATE_KEY = b"crm:{%d}:c:"
ACTIONS = ("crm.actions", "crm.actions.shadow")


def each_action_once(rig):
    seen = collections.Counter((a["action_id"], a["kind"]) for topic in ACTIONS for a in rig.values(topic))
    twice = [key for key, count in seen.items() if count > 1]
    if twice:
        raise Failure(f"{len(twice)} actions published twice, such as {twice[0]}")
    return len(seen)


def each_sequence_unbroken(rig):
    """seq counts per customer from 1 over transitions, actions and decisions: no gap, nothing twice."""
    numbers = collections.defaultdict(list)
    for topic in ("crm.transitions", *ACTIONS, "crm.decisions"):
        for record in rig.values(topic):
            numbers[record["customer_id"]].append(record["seq"])
    for customer, found in numbers.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            raise Failure(f"customer {customer}: seq of his records is {sorted(found)[:20]}...")


def changelog(rig):
    """The newest state of every customer: {(shard, id): bytes}. The key of `__meta` is one byte 0."""
    states = {}
    for partition, _, key, value in rig.read("crm.state"):
        if key != b"\0":
            states[(partition, key)] = value
    for partition, key in states:
        if home(key.decode(), SHARDS) != partition:
            raise Failure(f"state of {key} lies on shard {partition}, which is not its home")
    return states


def redis_equals_changelog(rig):
    """Redis is a view: it may lag by what a stopped worker had not applied, so a worker heals it first."""
    states = changelog(rig)
    found = {}
    for shard in range(SHARDS):
        prefix = STATE_KEY % shard
        for key in rig.redis_of(shard, "--raw", "KEYS", f"crm:{{{shard}}}:c:*").splitlines():
            if key:
                found[(shard, key[len(prefix):])] = None
    if set(found) != set(states):
        raise Failure(f"Redis holds {len(found)} customers, the changelog {len(states)}")
    ports = [rig.redis_servers.at(shard) for shard in range(SHARDS)]
    for (shard, key), value in states.items():
        held = rig.redis_at(ports[shard], "--raw", "GET", (STATE_KEY % shard + key).decode())[:-1]
        if held != value:
            raise Failure(f"customer {key}: Redis and the changelog differ")
    return len(states)


def is_erased(state):
    """The state's version byte, seq (a varint), then which of the two kinds of record it is."""
    at = 1
    while state[at] & 0x80:
        at += 1
    return state[at + 1] == 0


HISTORIES = """local out = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local line = {key}
  for _, entry in ipairs(redis.call('LRANGE', key, 0, -1)) do
    line[#line + 1] = string.gsub(entry, '.', function(c) return string.format('%02x', string.byte(c)) end)
  end
  out[#out + 1] = table.concat(line, ' ')
end
return out"""


def histories_equal_decisions(rig):
    """The newest of a customer's decisions lie beside his state, byte by byte; none once he is erased (R31)."""
    erased = {key for (_, key), value in changelog(rig).items() if is_erased(value)}
    wanted, found = collections.defaultdict(list), {}
    for partition, _, key, value in rig.read("crm.decisions"):
        if key not in erased:
            wanted[f"crm:{{{partition}}}:d:{key.decode()}"].append(value)
    for shard in range(SHARDS):
        keys = f"crm:{{{shard}}}:"
        for line in rig.redis_of(shard, "--raw", "EVAL", HISTORIES, "1", keys + "meta", keys + "d:*").decode().splitlines():
            key, *entries = line.split(" ")
            if key:
                found[key] = [bytes.fromhex(entry).split(b":", 1)[1] for entry in entries]
    for key in set(found) | set(wanted):
        if found.get(key) != wanted[key][-HISTORY:]:
            raise Failure(f"{key}: {len(found.get(key, []))} decisions in Redis are not the last of {len(wanted[key])} in crm.decisions; "
                          f"{len(erased)} customers are erased")
    return sum(len(entries) for entries in found.values())


def replay_equals_log(rig):
    """The steps that the workers recorded, run again by `oriori simulate --steps`, give every record again."""
    export = rig.folder / "export.jsonl"
    with export.open("w") as out:
        done = subprocess.run([ORIORI, "topics", "export", "--config", rig.config], stdout=out, stderr=subprocess.PIPE,
                              text=True, timeout=300)
    if done.returncode != 0:
        raise Failure(f"oriori topics export: status {done.returncode}\n{done.stderr[-2000:]}")
    done = subprocess.run([ORIORI, "simulate", "--steps", "--summary", "--playbook", str(rig.playbook()), str(export)],
                          capture_output=True, text=True, errors="replace", timeout=600)
    if done.returncode != 0:
        raise Failure(f"the replay of the step log differs from the log:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
    print("  replay " + done.stdout.strip().splitlines()[-1], flush=True)


def facts_equal_simulation(rig):
    """R1a: whatever was killed, the final facts and classes are those of one run over all events, in the order written,
    at the same clock."""
    if not rig.events:
        return
    clock = now_ms()
    history = rig.folder / "history.jsonl"
    with history.open("w") as out:
        out.writelines(json.dumps(line) + "\n" for line in rig.events)
    expected = rig.oriori("simulate", "--states", "--until", str(clock), "--playbook", str(rig.playbook()), str(history))
    expected = {r["customer_id"]: r for r in map(json.loads, expected.stdout.splitlines()) if r["type"] == "state"}
    found = rig.oriori("customer", "list", "--at", str(clock), "--config", rig.config).stdout
    found = {record["customer_id"]: record for record in map(json.loads, found.splitlines())}
    if set(found) != set(expected):
        raise Failure(f"customers of one side only: {sorted(set(found) ^ set(expected))[:5]}")
    for customer, record in expected.items():
        if found[customer] != record:
            keys = [key for key in record if record[key] != found[customer].get(key)]
            raise Failure(f"customer {customer} is not what plain `simulate` makes of the same events: {keys}\n"
                          f"  simulate {json.dumps(record)}\n  worker   {json.dumps(found[customer])}")
    print(f"  facts equal: {len(found)} customers as plain simulate leaves them", flush=True)


def inputs_consumed(rig):
    offsets, ends = rig.committed()
    if unread := rig.unread(offsets, ends):
        raise Failure(f"not consumed to the end: {sorted((key, offsets[key], ends[key]) for key in unread)}")


def audit(rig):
    rig.settle()
    inputs_consumed(rig)
    actions = each_action_once(rig)
    each_sequence_unbroken(rig)
    customers = redis_equals_changelog(rig)
    kept = histories_equal_decisions(rig)
    replay_equals_log(rig)
    facts_equal_simulation(rig)
    print(f"  audit: {rig.produced} records in, {actions} actions, {customers} customers, {kept} decisions in histories", flush=True)
