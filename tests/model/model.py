#!/usr/bin/env python3
"""The slow, obvious second model: `model.py [options] [FILE]` prints what `oriori simulate` must print."""

import argparse
import json
import sys

import events
import playbook
from simulate import simulate


def load_products(name):
    """A JSON list of {"sku", "role"?, "effect_after"?, "supply_days"?, "transit_days"?, "settle_purchases"?} (days)."""
    products = []
    with open(name, encoding="utf-8") as file:
        for item in json.load(file):
            figures = {key: item[key] * playbook.DAY for key in ("effect_after", "supply_days", "transit_days")
                       if key in item}
            if "settle_purchases" in item:
                figures["settle_purchases"] = item["settle_purchases"]
            products.append((item["sku"], item.get("role", "regular"), figures))
    return products


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default="-")
    parser.add_argument("--until")
    parser.add_argument("--states", action="store_true")
    parser.add_argument("--decisions", action="store_true")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--strategy", default="educate")
    parser.add_argument("--products", help="a JSON file of the playbook's products")
    parser.add_argument("--playbook-version", default=playbook.VERSION)
    options = parser.parse_args()
    if options.products:
        playbook.PRODUCTS[:] = load_products(options.products)
    until = None
    if options.until:
        until = events.time_of(int(options.until) if options.until.isdigit() else options.until)
    with open(options.file, "rb") if options.file != "-" else sys.stdin.buffer as file:
        lines = [line.decode("utf-8", "surrogateescape") for line in file]
    records, states, summary = simulate(lines, until, options.strategy, options.playbook_version,
                                        lambda text: print(text, file=sys.stderr))
    shown = []
    if not options.summary:
        shown += [record for record in records if options.decisions or record["type"] != "decision"]
        shown += states if options.states else []
    for record in shown + [summary]:
        print(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
    return 1 if options.strict and summary["events"]["dead_letter"] else 0


if __name__ == "__main__":
    sys.exit(main())
