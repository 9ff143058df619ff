#!/usr/bin/env python3
"""Runs scenarios: one page of text each, events in, what must come out. README.md describes the page.

    scenario.py ORIORI PLAYBOOK FILE...            compares each, closes with "N passed, N failed, N skipped"
    scenario.py --fires ORIORI PLAYBOOK FILE...    a table: which rule is sent in which scenario; fails on rules that never are
    scenario.py --show ORIORI PLAYBOOK FILE        prints all that came out of one, in the page's own words
"""

import collections
import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zoneinfo

ZONE = zoneinfo.ZoneInfo("Asia/Tokyo")
DIMENSIONS = ("tier", "phase", "growth", "segment")
TIME = r"(\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?)"


class Mistake(Exception):
    """The page itself is wrong: file and line are in the text."""


def to_ms(date, clock):
    moment = datetime.datetime.fromisoformat(f"{date} {clock}").replace(tzinfo=ZONE)
    return int(moment.timestamp() * 1000)


def to_text(ms):
    moment = datetime.datetime.fromtimestamp(ms / 1000, ZONE)
    return moment.strftime("%Y-%m-%d %H:%M" + (":%S" if moment.second else ""))


# ---- Events: verb -> topic, kind, what the first word after the verb names

VERBS = {
    "order": ("orders", "PLACED", "order_id"), "renew": ("orders", "SUBSCRIPTION_RENEWED", "order_id"),
    "cancel": ("orders", "CANCELLED", "order_id"), "refund": ("orders", "REFUNDED", "order_id"),
    "subscribe": ("orders", "SUBSCRIPTION_STARTED", None), "pause": ("orders", "SUBSCRIPTION_PAUSED", None),
    "resume": ("orders", "SUBSCRIPTION_RESUMED", None), "leave": ("orders", "SUBSCRIPTION_CANCELLED", None),
    "ship": ("deliveries", "SHIPPED", "order_id"), "deliver": ("deliveries", "DELIVERED", "order_id"),
    "fail": ("deliveries", "FAILED", "order_id"), "return": ("deliveries", "RETURNED", "order_id"),
    "answer": ("surveys", None, "purpose"),
    "open": ("email-opens", "OPENED", None), "click": ("email-opens", "CLICKED", None),
    "unsubscribe": ("email-opens", "UNSUBSCRIBED", None), "bounce": ("email-opens", "BOUNCED", None),
    "complain": ("email-opens", "COMPLAINED", None),
    "register": ("customers", "REGISTERED", "channel"), "unregister": ("customers", "UNREGISTERED", "channel"),
    "consent": ("customers", "CONSENTED", None), "opt-out": ("customers", "OPTED_OUT", None),
    "refer": ("customers", "REFERRED", "referred_customer_id"), "share": ("customers", "SHARED", None),
    "attend": ("customers", "EVENT_ATTENDED", None), "contact-support": ("customers", "SUPPORT_CONTACTED", None),
    "erase": ("customers", "ERASED", None),
}
WORDS = {  # a bare word or key of a page -> field of the event
    "email": ("email_registered", True), "line": ("line_registered", True), "consents": ("marketing_consent", True),
    "backfill": ("backfill", True), "test": ("test", True), "shares": ("consent_to_share", True),
    "human": ("agent", "HUMAN"), "machine": ("agent", "MACHINE"),
}
KEYS = {"sub": "subscription_id", "referrer": "referrer_customer_id", "amount": "refund_amount", "felt": "effect_felt",
        "parcel": "parcel_id", "zone": "time_zone", "id": "event_id"}
NUMBERS = {"nps", "satisfaction", "refund_amount", "version"}


def field_of(word):
    """A word after the verb: a flag, or key=value."""
    if "=" not in word:
        if word not in WORDS:
            raise Mistake(f"unknown word '{word}'; flags are {', '.join(sorted(WORDS))}")
        return WORDS[word]
    key, value = word.split("=", 1)
    key = KEYS.get(key, key)
    if key in NUMBERS:
        return key, int(value)
    if value in ("yes", "no"):
        return key, value == "yes"
    return key, value.split(",") if key == "concerns" else value


def order_lines(fields):
    sku, price = fields.pop("sku", None), fields.pop("price", None)
    quantity = fields.pop("quantity", 1)
    if sku or price:
        fields["lines"] = [{"sku": sku or "DAILY-1", "quantity": int(quantity), "unit_price": int(price or 3000)}]


def parse_event(number, date, clock, customer, words):
    verb = words.pop(0)
    if verb not in VERBS:
        raise Mistake(f"unknown verb '{verb}'; there are {', '.join(VERBS)}")
    topic, kind, names = VERBS[verb]
    event = {"event_id": f"e{number}", "customer_id": customer, "occurred_at": to_ms(date, clock), "source": "page"}
    if kind:
        event["kind"] = kind
    if names and words and "=" not in words[0] and words[0] not in WORDS or names == "channel":
        value = words.pop(0)
        event[names] = value.upper() if names in ("purpose", "channel") else value
    event.update(field_of(word) for word in words)
    if topic == "orders":
        order_lines(event)
    if topic == "surveys":
        event.setdefault("survey_id", event["purpose"].lower())
        event.setdefault("response_id", event["event_id"])
    line = {"topic": topic, "event": event}
    arrived = event.pop("arrived", None)
    if arrived:
        line["received_at"] = to_ms(*arrived.split("T"))
    return line


# ---- Expectations: a line of the page and a record of the run in the same words


def transition_text(record):
    returned = " returned" if record.get("returned") else ""
    return f"{record['dimension']} {record['from'] or 'none'} > {record['to']}{returned}"


def action_texts(record):
    """Both are right on a page: with the channel and without."""
    verb = f"{record['kind']} {record['rule']}"
    content = record["variables"].get("content") or record["variables"].get("concern")
    yield verb
    yield f"{verb} by {record['channel']}"
    if content:
        yield f"{verb} with {content}"
    if record.get("reason"):
        yield f"{verb} because {record['reason']}"


def decision_text(record):
    detail = f" {record['detail']}" if record["outcome"] == "deferred" else ""
    return f"hold {record['rule']} {record['outcome']}{detail}"


def record_texts(record):
    if record["type"] == "transition":
        yield transition_text(record)
    elif record["type"] == "action":
        yield from action_texts(record)
    elif record["type"] == "decision" and record["outcome"] != "sent":
        yield decision_text(record)


def subject(text):
    """What a line speaks of: of this, all that happens must be on the page."""
    first, second = (text.split() + [""])[:2]
    return first if first in DIMENSIONS else f"{first} {second}"


class Page:
    def __init__(self, path):
        self.path = path
        self.events = []
        self.expected = []  # (customer, ms, text)
        self.never = []  # (customer, "send rule")
        self.goals = []  # (rule, sent reached, sent measured, held out reached, held out measured)
        self.settings = []  # (key, value) of the playbook
        self.until = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = line.split("#", 1)[0].rstrip()
            if not line:
                continue
            try:
                self.read_line(number, line.strip())
            except (Mistake, ValueError, IndexError, KeyError) as mistake:
                raise Mistake(f"{path}:{number}: {mistake}") from None
        if self.until is None:
            raise Mistake(f"{path}: no line 'until DATE TIME'")

    def read_line(self, number, line):
        setting = re.fullmatch(r"playbook (\w+)\s*=\s*(.+)", line)
        until = re.fullmatch(f"until {TIME}", line)
        never = re.fullmatch(r"never\s+(\S+)\s+(.+)", line)
        goal = re.fullmatch(r"goal\s+(\w+)\s+sent (\d+) of (\d+),? +held out (\d+) of (\d+)", line)
        dated = re.fullmatch(TIME + r"\s+(\S+)\s+(=>)?\s*(.+)", line)
        if setting:
            self.settings.append(setting.groups())
        elif until:
            self.until = to_ms(*until.groups())
        elif never:
            self.never.append((never[1], " ".join(never[2].split())))
        elif goal:
            self.goals.append((goal[1], *(int(figure) for figure in goal.groups()[1:])))
        elif dated and dated[4]:
            self.expected.append((dated[3], to_ms(dated[1], dated[2]), " ".join(dated[5].split())))
        elif dated:
            self.events.append(parse_event(number, dated[1], dated[2], dated[3], dated[5].split()))
        else:
            raise Mistake(f"cannot read '{line}'")


def playbook_for(page, playbook, folder):
    """The playbook with the page's settings: each replaces the value of the one line `key: value` of that name."""
    if not page.settings:
        return playbook
    text = pathlib.Path(playbook).read_text(encoding="utf-8")
    for key, value in page.settings:
        text, count = re.subn(rf"(?m)^(\s*{key}:)[^\n#]*", rf"\g<1> {value} ", text, count=1)
        if not count:
            raise Mistake(f"{page.path}: the playbook has no key '{key}'")
    path = pathlib.Path(folder) / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def run_oriori(page, oriori, playbook, *words):
    """The JSON lines that the subcommand prints when it is given the page's events, in order of arrival."""
    arrived = sorted(page.events, key=lambda line: line.get("received_at", line["event"]["occurred_at"]))
    lines = "".join(json.dumps(line) + "\n" for line in arrived)
    with tempfile.TemporaryDirectory() as folder:
        until = datetime.datetime.fromtimestamp(page.until / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        command = [oriori, *words, "--playbook", str(playbook_for(page, playbook, folder)), "--until", until]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise Mistake(f"{page.path}: {words[0]} ended with {done.returncode}: {done.stderr.strip()[:500]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def simulate(page, oriori, playbook):
    return run_oriori(page, oriori, playbook, "simulate", "--strict", "--decisions")


def compare_goals(page, oriori, playbook):
    """What the report counts otherwise than the page says (R82)."""
    if not page.goals:
        return
    counted = {}
    for line in run_oriori(page, oriori, playbook, "report", "--json", "--events", "-"):
        sent, held_out = line["sent"], line["held_out"]
        counted[line["rule"]] = tuple(group.get(name) for group in (sent, held_out) for name in ("reached", "measured"))
    for rule, *expected in page.goals:
        if counted.get(rule) != tuple(expected):
            yield f"goal of {rule}: expected {expected}, counted {counted.get(rule)} (reached, of; sent, held out)"


def compare(page, records):
    """The differences, as text: what the page says and did not happen, and what happened and the page does not say."""
    happened = collections.defaultdict(list)
    for index, record in enumerate(records):
        for text in record_texts(record):
            happened[record["customer_id"], record["at"], text].append(index)
    used = set()
    for customer, at, text in page.expected:
        free = [index for index in happened[customer, at, text] if index not in used]
        if free:
            used.add(free[0])
        else:
            yield f"expected, did not happen:  {to_text(at)}  {customer}  => {text}"
    named = {(customer, subject(text)) for customer, _, text in page.expected}
    named |= {(customer, subject(text)) for customer, text in page.never}
    for index, record in enumerate(records):
        for text in list(record_texts(record))[:1]:
            if index not in used and (record["customer_id"], subject(text)) in named:
                yield f"happened, not on the page: {to_text(record['at'])}  {record['customer_id']}  => {text}"


def run(paths, oriori, playbook):
    failed = 0
    for path in paths:
        try:
            page = Page(path)
            differences = list(compare(page, simulate(page, oriori, playbook)))
            differences += compare_goals(page, oriori, playbook)
        except (Mistake, subprocess.TimeoutExpired) as mistake:
            differences = [str(mistake)]
        if differences:
            failed += 1
            print(f"FAILED: {path}", *differences, sep="\n    ")
    print(f"{len(paths) - failed} passed, {failed} failed, 0 skipped")
    return failed == 0


def fires(paths, oriori, playbook, rules):
    table = collections.defaultdict(list)
    for path in paths:
        page = Page(path)
        for rule in {record["rule"] for record in simulate(page, oriori, playbook)
                     if record["type"] == "action" and record["kind"] == "send"}:
            table[rule].append(path.stem)
    silent = [rule for rule in rules if not table[rule]]
    for rule in rules:
        print(f"{rule:<26}{len(table[rule]):>4}  {', '.join(table[rule][:3])}")
    print(f"{len(rules) - len(silent)} passed, {len(silent)} failed, 0 skipped")
    return not silent


def show(path, oriori, playbook):
    page = Page(path)
    for record in simulate(page, oriori, playbook):
        texts = list(record_texts(record))
        if texts:
            print(f"{to_text(record['at'])}  {record['customer_id']}  => {texts[1] if len(texts) > 1 else texts[0]}")


def main():
    arguments = sys.argv[1:]
    mode = arguments.pop(0) if arguments and arguments[0].startswith("--") else ""
    if len(arguments) < 3 or mode not in ("", "--fires", "--show"):
        sys.exit(__doc__)
    oriori, playbook, paths = arguments[0], arguments[1], [pathlib.Path(name) for name in arguments[2:]]
    if mode == "--fires":
        rules = (pathlib.Path(__file__).parent / "rules").read_text(encoding="utf-8").split()
        return fires(paths, oriori, playbook, rules)
    if mode == "--show":
        return show(paths[0], oriori, playbook)
    return run(paths, oriori, playbook)


if __name__ == "__main__":
    sys.exit(0 if main() in (True, None) else 1)
