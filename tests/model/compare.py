#!/usr/bin/env python3
"""Runs `oriori simulate` and the model on the same histories and compares record by record (issue: the engine's proof)."""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import generate  # noqa: E402
import model  # noqa: E402
import playbook  # noqa: E402
from own_playbook import own_playbook  # noqa: E402
from simulate import simulate  # noqa: E402

IGNORED = ("seq", "evidence", "values", "variables", "template", "detail")
SUMMARY_EVERY = 10  # histories
PLAYBOOK = os.path.join(ROOT, "schemas", "playbook.yaml")


def playbook_version():
    if not os.path.exists(PLAYBOOK):
        return playbook.VERSION
    with open(PLAYBOOK, encoding="utf-8") as file:
        found = re.search(r'^version:\s*["\']?([^"\'\n#]+?)["\']?\s*(#.*)?$', file.read(), re.M)
    return found.group(1) if found else playbook.VERSION


class Comparison:
    def __init__(self, options):
        self.program = options.program
        self.ignored = () if options.all else IGNORED[options.seq:]
        self.options = options
        self.version = playbook_version()
        self.asked = 0
        if options.products:
            playbook.PRODUCTS[:] = model.load_products(options.products)

    def plain(self, records):
        return [{name: value for name, value in record.items() if name not in self.ignored} for record in records]

    def model_records(self, lines, until):
        records, states, summary = simulate(lines, until, self.options.strategy, self.version)
        return self.plain(records + states + [summary])

    def run_engine(self, file, until, *options):
        """The lines printed; or None, and what the program said."""
        command = [self.program, "simulate", *options]
        if self.options.playbook:
            command += ["--playbook", self.options.playbook]
        if until is not None:
            command += ["--until", str(until)]
        run = subprocess.run(command + [file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
        errors = run.stderr.decode("utf-8", "replace")[-400:]
        return (None, f"status {run.returncode}: {errors}") if run.returncode else (run.stdout.decode("utf-8").splitlines(), "")

    def engine_records(self, lines, until):
        self.asked += 1
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
            file.flush()
            printed, errors = self.run_engine(file.name, until, "--decisions", "--states")
            if printed and self.asked % SUMMARY_EVERY == 0:  # alone, it is made in another order: customer by customer
                alone, errors = self.run_engine(file.name, until, "--summary")
                if alone != printed[-1:]:
                    printed, errors = None, errors or f"--summary alone says {alone}"
        if printed is None:
            return [{"type": "failed", "errors": errors}]
        return self.plain([json.loads(line) for line in printed])

    def difference(self, lines, until):
        """None when equal; else (place, engine's records, model's records)."""
        engine, ours = self.engine_records(lines, until), self.model_records(lines, until)
        if engine == ours:
            return None
        for place in range(max(len(engine), len(ours))):
            if engine[place:place + 1] != ours[place:place + 1]:
                return place, engine, ours
        return None

    def kind_of(self, found):
        """What sort of difference it is, so that shrinking does not wander to another."""
        place, engine, ours = found
        left, right = (records[place] if place < len(records) else {} for records in (engine, ours))
        names = tuple(sorted(name for name in {*left, *right} if left.get(name) != right.get(name)))
        return left.get("type"), right.get("type"), left.get("rule"), right.get("rule"), names

    def shrink(self, lines, until, found):
        kind = self.kind_of(found)
        if kind[0] == "failed":
            return lines
        size = max(1, len(lines) // 2)
        while size:
            place, dropped = 0, False
            while place < len(lines):
                fewer = lines[:place] + lines[place + size:]
                again = self.difference(fewer, until) if fewer else None
                if again and self.kind_of(again) == kind:
                    lines, dropped = fewer, True
                else:
                    place += size
            if not dropped or size > 1:
                size //= 2
        return lines


def report(found, lines, out=sys.stdout):
    place, engine, ours = found
    left = engine[place] if place < len(engine) else None
    right = ours[place] if place < len(ours) else None
    print(f"first difference at record {place + 1}:", file=out)
    if left and right and left.get("type") == right.get("type"):
        print(f"  both: {short({key: left[key] for key in left if left[key] == right.get(key, '')})}", file=out)
        for name in sorted({*left, *right}):
            if left.get(name) != right.get(name):
                print(f"  {name}: engine {json.dumps(left.get(name), ensure_ascii=False)}"
                      f" model {json.dumps(right.get(name), ensure_ascii=False)}", file=out)
    print(f"  engine: {short(left)}\n  model:  {short(right)}", file=out)
    for name, records in (("engine", engine), ("model", ours)):
        print(f"  {name} around it:", file=out)
        for record in records[max(0, place - 3):place + 4]:
            print(f"    {short(record)}", file=out)
    customer = (left or right).get("customer_id")
    print(f"  the events of {customer}:", file=out)
    for line in lines[-60:]:
        if customer is None or f'"{customer}"' in line or len(lines) < 12:
            print(f"    {line}", file=out)


def short(record):
    if record is None:
        return "nothing"
    order = ("type", "at", "customer_id", "rule", "key", "n", "outcome", "dimension", "from", "to", "kind", "due_at",
             "until", "event_id")
    if record.get("type") not in ("transition", "action", "decision"):
        return json.dumps(record, ensure_ascii=False)
    return " ".join(f"{name}={record[name]}" for name in order if name in record)


def histories(options):
    for seed in range(options.seeds[0], options.seeds[1] + 1):
        for shop in (False, True):
            lines = generate.generate(seed, options.customers, options.events, shop)
            yield f"{seed}{'-shop' if shop else ''}", lines, generate.until_of(lines, seed)
        if seed % MOVING_EVERY == 0:
            lines = generate.generate(seed, 1, options.events, moving=True)
            yield f"{seed}-moving", lines, generate.until_of(lines, seed)
        if seed % OWN_EVERY == 0:
            with own_playbook(options, seed):
                lines = generate.generate(seed, options.customers, options.events, shop=seed % 2 == 0)
                yield f"{seed}-own", lines, generate.until_of(lines, seed)
        if seed % FOLDED_EVERY == 0:
            lines = generate.generate(seed, 1, 5 * options.events, folded=True)
            with short_history(options, *SHORT_HISTORIES[seed // FOLDED_EVERY % len(SHORT_HISTORIES)]):
                yield f"{seed}-folded", lines, generate.until_of(lines, seed)


FOLDED_EVERY = 5  # seeds: these take long
MOVING_EVERY = 2
OWN_EVERY = 3
SHORT_HISTORIES = [(4, 20), (16, 60), (64, 400)]  # facts, days


@contextlib.contextmanager
def edited_playbook(options, pattern, by):
    """The engine's playbook with a text for what the pattern finds."""
    named = options.playbook
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        with open(named or PLAYBOOK, encoding="utf-8") as source:
            text, count = re.subn(pattern, lambda _: by, source.read())
        if count != 1:
            sys.exit(f"compare.py: {pattern} is not in the playbook once")
        file.write(text)
        file.flush()
        options.playbook = file.name
        yield
    options.playbook = named


@contextlib.contextmanager
def short_history(options, facts, days):
    """R11 with these bounds in both. The model refuses what is too late, but never drops what was folded."""
    kept = playbook.HISTORY_FACTS, playbook.HISTORY_DAYS
    playbook.HISTORY_FACTS, playbook.HISTORY_DAYS = facts, days
    with edited_playbook(options, r"(?m)^history: .*$", f"history: {{facts: {facts}, days: {days}, facts_max: 8192}}"):
        yield
    playbook.HISTORY_FACTS, playbook.HISTORY_DAYS = kept


@contextlib.contextmanager
def products(options, items):
    """The engine's playbook and the model's with these products before the others, of a case that needs its own."""
    if not items:
        yield
        return
    kept = list(playbook.PRODUCTS)
    stated = "".join(f'  - sku: "{item["sku"]}"\n    effect_after: {item["effect_after"]}d\n' for item in items)
    playbook.PRODUCTS[:0] = [(item["sku"], "regular", {"effect_after": item["effect_after"] * playbook.DAY})
                             for item in items]
    with edited_playbook(options, r"(?m)^products:\n", "products:\n" + stated):
        yield
    playbook.PRODUCTS[:] = kept


def files(options):
    strategy = options.strategy
    for name in options.files:
        with open(name, encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in file]
        until = options.until
        head = json.loads(lines.pop(0)) if lines and lines[0].startswith('{"until"') else {}
        with products(options, head.get("products", [])), contextlib.ExitStack() as more:
            options.strategy = head.get("strategy", strategy)
            if options.strategy != strategy:
                more.enter_context(edited_playbook(options, r"(?m)^strategy: \w+", f"strategy: {options.strategy}"))
            if "history" in head:
                more.enter_context(short_history(options, *head["history"]))
            yield os.path.basename(name), lines, head.get("until") if until is None else until


def seed_range(text):
    first, _, last = text.partition("..")
    return int(first), int(last or first)


def parser():
    found = argparse.ArgumentParser(description=__doc__)
    found.add_argument("files", nargs="*")
    found.add_argument("--seeds", type=seed_range, help="A..B, each an adversarial history and a shop, and more")
    found.add_argument("--customers", type=int, default=3)
    found.add_argument("--events", type=int, default=30)
    found.add_argument("--until", type=int)
    found.add_argument("--all", action="store_true", help="compare every key")
    found.add_argument("--program", default=os.path.join(ROOT, "build", "release", "oriori"))
    found.add_argument("--products")
    found.add_argument("--strategy", default="educate")
    found.add_argument("--playbook", help="the engine's playbook file")
    found.add_argument("--seq", action="store_true", help="compare seq too")
    found.add_argument("--keep", default=None, help="folder for shrunk cases")
    found.add_argument("--stop", type=int, default=5, help="give up after so many differences")
    return found


def compare(options, out=sys.stdout):
    """(passed, failed)"""
    comparison = Comparison(options)
    passed, failed = 0, 0
    for name, lines, until in (histories(options) if options.seeds else files(options)):
        found = comparison.difference(lines, until)
        if found is None:
            passed += 1
            continue
        failed += 1
        lines = comparison.shrink(lines, until, found)
        found = comparison.difference(lines, until)
        print(f"== {name}: differs", file=out)
        report(found, lines, out)
        folder = options.keep or tempfile.gettempdir()
        path = os.path.join(folder, f"difference-{name}.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps({"until": until}) + "\n" + "".join(line + "\n" for line in lines))
        print(f"  the short case: {path}", file=out)
        out.flush()
        if failed >= options.stop:
            break
    return passed, failed


def main():
    passed, failed = compare(parser().parse_args())
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
