#!/usr/bin/env python3
"""Section H as the model typed it, against schemas/playbook.yaml as the engine reads it: both must say the same.

Reads just as much YAML as that file's rules use: one key a line at four spaces, conditions as a list below."""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import playbook  # noqa: E402

FILE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "schemas", "playbook.yaml")
DAY = playbook.DAY

# How the file writes what the model calls by the words of section H.
CONDITIONS = {
    "purchases = 0": "purchases = 0", "purchases = 1": "purchases = 1", "premium >= 1": "premium >= 1",
    "order live": "order_live", "order not void": "not order_void", "first of cycle": "order_first_of_cycle",
    "not registered": "not registered", "positive": "response_positive", "negative": "response_negative",
    "consent to share": "response_consent_to_share", "effect not felt": "not effect_felt",
    "effect denied or negative": "response_effect_felt = false or response_negative",
    "no subscription": "not subscription", "subscription": "subscription",
    "no response since first purchase": "not responded_since_first_purchase", "responses >= 3": "responses >= 3",
    "responses >= 1": "responses >= 1", "responses = 0": "responses = 0",
    "tier follower or supporter": "tier in (follower, supporter)", "tier supporter": "tier = supporter",
    "tier lapsed": "tier = lapsed", "phase adopt": "phase = adopt", "phase acclimate": "phase = acclimate",
    "with us": "not (tier in (lapsed, dormant))",
}


def condition_text(name):
    if name.endswith(" unanswered"):
        return "not answered_" + name.split()[0].lower()
    return CONDITIONS[name]


def read_rules(text):
    """[{key: text or list of conditions}] in the file's order."""
    rules, inside = [], False
    for line in text.splitlines():
        line = re.sub(r"\s+#.*$", "", line)
        if line.startswith("rules:"):
            inside = True
        found = re.match(r"  - name: (\S+)", line)
        if inside and found:
            rules.append({"name": found.group(1), "conditions": []})
            continue
        found = re.match(r"    (\w+): *(.*)$", line)
        if inside and found:
            rules[-1][found.group(1)] = found.group(2) or []
            continue
        found = re.match(r"      - (.*)$", line)
        if inside and found:
            rules[-1]["conditions"].append(found.group(1).strip('"'))
    return rules


def days(text):
    return None if text == "never" else int(text.rstrip("d")) * DAY


def in_list(text):
    return tuple(item.strip().strip('"') for item in text.strip("[]{}").split(","))


def trigger_text(rule):
    kind = rule.trigger[0]
    if kind == "event":
        names = rule.trigger[1]
        return "{event: %s}" % (names[0] if len(names) == 1 else "[" + ", ".join(names) + "]")
    if kind == "response":
        return "{response: %s}" % (rule.trigger[1][0] if rule.trigger[1] else "any")
    if kind == "concern":
        return "{concern: %s}" % rule.trigger[1][0]
    if kind == "enters":
        return "{enters: {%s: %s%s}}" % (rule.trigger[1], rule.trigger[2], ", unbroken: true" if rule.unbroken else "")
    if kind == "reaches":
        return "{reaches: %s}" % rule.trigger[1]
    if kind == "tier_up":
        return "{tier_up: [visitor, follower, supporter]}"
    if kind == "anchor":
        return rule.trigger[1]
    if kind == "calendar":
        dates = ", ".join('"%02d-%02d"' % date for date in rule.trigger[1])
        return '{calendar: {dates: [%s], at: "%02d:00"}}' % (dates, rule.trigger[2])
    return {"converts": "referral_converted"}.get(kind, kind)


def repeat_text(rule):
    if not rule.every:
        return None
    holds = condition_text(rule.holds)
    holds = f'"{holds}"' if "(" in holds else holds
    times = f", times: {rule.times}" if rule.times else ""
    return "{every: %dd%s, while: %s}" % (rule.every // DAY, times, holds)


def expected(rule):
    delay = None if rule.delay == 0 else rule.delay if isinstance(rule.delay, str) else f"{rule.delay // DAY}d"
    channels = ("service",) if rule.cls == "internal" else rule.channels
    return {"name": rule.name, "trigger": trigger_text(rule), "delay": delay,
            "conditions": [condition_text(name) for name in rule.conditions], "repeat": repeat_text(rule),
            "class": rule.cls, "shelf": rule.shelf, "priority": rule.priority, "once": rule.once,
            "channels": channels, "audience": rule.audience, "strategy": rule.strategy,
            "contents": tuple(rule.contents) if rule.contents else None}


def stated(entry):
    delay = entry.get("delay")
    internal = entry["class"] == "internal"
    channels = in_list(entry["channels"]) if "channels" in entry else ("service",) if internal else ("line", "email")
    return {"name": entry["name"], "trigger": entry["trigger"], "delay": None if delay in (None, "0", "0d") else delay,
            "conditions": entry["conditions"], "repeat": entry.get("repeat"), "class": entry["class"],
            "shelf": days(entry["shelf"]), "priority": int(entry["priority"]), "once": entry["once"],
            "channels": channels, "audience": entry.get("audience", "customer"), "strategy": entry.get("strategy"),
            "contents": in_list(entry["contents"]) if "contents" in entry else None}


def differences():
    with open(FILE, encoding="utf-8") as file:
        entries = [stated(entry) for entry in read_rules(file.read())]
    rules = [expected(rule) for rule in playbook.section_h()]
    found = []
    if [entry["name"] for entry in entries] != [rule["name"] for rule in rules]:
        found.append("the rules or their order differ")
    for entry, rule in zip(entries, rules):
        found += [f"{rule['name']}.{key}: file {entry[key]!r}, section H {rule[key]!r}"
                  for key in rule if entry[key] != rule[key]]
    return found


def main():
    found = differences()
    print("\n".join(found))
    print(f"{0 if found else 1} passed, {1 if found else 0} failed, 0 skipped")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
