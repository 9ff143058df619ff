#!/usr/bin/env python3
"""What happened in a run, for people: reads a folder of topics as JSON lines and prints one screen.

The folder holds events.jsonl (the input) and crm.transitions.jsonl and crm.actions.jsonl (what came out; one record a
line, bare or as the "value" of a line that also says where it lay). Only the standard library.
"""

import argparse
import collections
import datetime
import json
import pathlib

TIERS = ("partner", "supporter", "follower", "visitor", "lapsed", "dormant", "prospect")
PHASES = ("assess", "admit", "affirm", "activate", "acclimate", "accomplish", "adopt", "advocate")
STORY_LINES = 14


def read_lines(path):
    if not path.exists():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            yield record.get("value", record) if isinstance(record, dict) else record


def day(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%d")


class Run:
    """A run's records, by customer."""

    def __init__(self, folder):
        self.transitions = list(read_lines(folder / "crm.transitions.jsonl"))
        self.actions = list(read_lines(folder / "crm.actions.jsonl"))
        self.events = {}  # event_id of each source -> (topic, event): duplicates are told once
        for line in read_lines(folder / "events.jsonl"):
            event = line["event"]
            self.events.setdefault((event.get("source"), event["event_id"]), (line["topic"], event))
        self.dead = sum(1 for _ in read_lines(folder / "crm.dead.jsonl"))

    def now_in(self, dimension):
        """Where each customer stands at the end: what his last transition says."""
        last = {}
        for record in self.transitions:
            if record["dimension"] == dimension:
                last[record["customer_id"]] = record["to"]
        return collections.Counter(last.values())


def bars(counts, names, width=40):
    most = max(counts.values(), default=0)
    for name in names:
        count = counts.get(name, 0)
        yield f"  {name:<12}{count:>7}  {'#' * round(width * count / most) if most else ''}"


def print_standing(run):
    print("\nCustomers per tier")
    print("\n".join(bars(run.now_in("tier"), TIERS)))
    print("\nCustomers per phase")
    print("\n".join(bars(run.now_in("phase"), PHASES)))


def print_moves(run):
    moves = collections.Counter()
    returned = 0
    for record in run.transitions:
        if record["dimension"] == "tier" and record["from"] is not None:
            moves[record["from"], record["to"], record["cause"]] += 1
            returned += bool(record.get("returned"))
    print("\nMoves between tiers (by an event, or by time alone)")
    for (before, after, cause), count in sorted(moves.items(), key=lambda item: (-item[1], item[0])):
        print(f"  {before:>10} > {after:<10}{count:>7}  by {'an event' if cause == 'event' else 'time'}")
    print(f"  of these, {returned} came back from lapsed or dormant")


def print_actions(run):
    sent = collections.Counter(record["rule"] for record in run.actions if record["kind"] == "send")
    revoked = collections.Counter(record["rule"] for record in run.actions if record["kind"] == "revoke")
    print(f"\nActions: {sum(sent.values())} sent, {sum(revoked.values())} of them revoked")
    for rule, count in sorted(sent.items(), key=lambda item: (-item[1], item[0])):
        taken = f"   {revoked[rule]} revoked" if revoked[rule] else ""
        print(f"  {rule:<26}{count:>7}{taken}")


# ---- Stories


def event_line(topic, event):
    kind = event.get("kind")
    if topic == "orders" and "lines" in event:
        pence = sum(line["quantity"] * line["unit_price"] for line in event["lines"])
        what = "renews with order" if kind == "SUBSCRIPTION_RENEWED" else "orders"
        return f"{what} {event['order_id']} ({pence / 100:.2f} {event.get('currency', '')})"
    if topic == "orders":
        return f"{kind.lower().replace('_', ' ')} {event.get('order_id', '')}".rstrip()
    if topic == "deliveries":
        return f"parcel of {event['order_id']}: {kind.lower()}"
    if topic == "surveys":
        marks = ", ".join(f"{name} {event[name]}" for name in ("satisfaction", "nps", "effect_felt") if name in event)
        return f"answers {event['purpose']} ({marks})"
    return kind.lower().replace("_", " ")


def story_entries(run, customer):
    for topic, event in run.events.values():
        if event["customer_id"] == customer and event.get("kind") != "OPENED":
            yield event["occurred_at"], 0, "", event_line(topic, event)
    for record in run.transitions:
        if record["customer_id"] == customer and record["dimension"] in ("tier", "phase") and record["rest"]:
            why = "time passed" if record["cause"] == "time" else "that made him"
            yield record["at"], record["seq"], "  =>", f"{record['dimension']} {record['to']} ({why})"
    for record in run.actions:
        if record["customer_id"] == customer:
            yield record["at"], record["seq"], "  ->", f"{record['kind']} {record['rule']} by {record['channel']}"


def print_story(run, title, customer):
    entries = sorted(story_entries(run, customer))
    print(f"\n{title}: customer {customer}")
    shown = entries
    if len(entries) > STORY_LINES:
        shown = entries[:STORY_LINES // 2] + [None] + entries[-STORY_LINES // 2:]
    for entry in shown:
        if entry is None:
            print(f"  {'...':<12}({len(entries) - STORY_LINES} more)")
            continue
        at, _, mark, text = entry
        print(f"  {day(at)}  {mark}{' ' if mark else ''}{text}")


def choose(scores, taken):
    """The customer of the highest score; of equal ones the first id, so that a run tells the same stories again."""
    open_to_choice = [(-score, customer) for customer, score in scores.items() if customer not in taken]
    return min(open_to_choice)[1] if open_to_choice else None


def stories(run):
    climbed, returned, revoked = collections.Counter(), collections.Counter(), collections.Counter()
    for record in run.transitions:
        if record["dimension"] == "tier" and record["direction"] == "up":
            climbed[record["customer_id"]] += TIERS[::-1].index(record["to"])
            returned[record["customer_id"]] += bool(record.get("returned"))
    for record in run.actions:
        revoked[record["customer_id"]] += record["kind"] == "revoke"
    taken = set()
    for title, scores in (("One who climbed", climbed), ("One who came back", +returned),
                          ("One who took it back", +revoked)):
        customer = choose(scores, taken)
        if customer is not None:
            taken.add(customer)
            yield title, customer


def main():
    parser = argparse.ArgumentParser(description="One screen about a run whose topics lie in a folder as JSON lines.")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--one-customer-to", metavar="FILE", help="writes the id of the first story's customer there")
    options = parser.parse_args()
    run = Run(options.folder)
    print_standing(run)
    print_moves(run)
    print_actions(run)
    if run.dead:
        print(f"\n{run.dead} records could not be applied: {options.folder / 'crm.dead.jsonl'}")
    first = None
    for title, customer in stories(run):
        print_story(run, title, customer)
        first = first or customer
    if options.one_customer_to:
        pathlib.Path(options.one_customer_to).write_text(first or "", encoding="utf-8")


if __name__ == "__main__":
    main()
