"""Random writers of our inputs: what our decode plan makes of a datum against what fastavro makes of it, which knows the
Avro specification and nothing of us. usage: compare.py PROGRAM SEED CASES

A case is one of our schemas as the reader's (some fields with aliases, some enums with a default) and a writer's made
from it: fields in another order, dropped, under an alias, promoted, within or without a union, enums with other
symbols, and types of every kind that the reader skips; sometimes a type that does not resolve. Where fastavro resolves,
we must, to the same values; where it does not, we must refuse, but for what `lenient` below allows."""
import collections
import copy
import json
import pathlib
import random
import subprocess
import sys
from io import BytesIO

import fastavro

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOPICS = {"orders": "order", "deliveries": "delivery", "surveys": "survey", "email-opens": "email_open", "customers": "customer"}
REQUIRED = {"event_id", "customer_id", "occurred_at", "kind", "survey_id", "response_id", "purpose"}
UNREAD = ("comment", "answers", "note")  # checked and not kept: struct event has no place for them
PROMOTED = {"long": "int", "string": "bytes"}
VALUES = 3  # of each pair of schemas


class Case:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.topic = self.random.choice(sorted(TOPICS))
        self.reader = json.loads((ROOT / f"schemas/{TOPICS[self.topic]}.avsc").read_text())
        self.names = 0
        self.lenient = False  # something that fastavro must refuse and we need not
        self.said = collections.Counter()
        self.writer = copy.deepcopy(self.reader)
        self.writer["fields"] = self.fields(self.writer["fields"], self.reader["fields"])
        self.datum = self.value(self.writer, {})

    def chance(self, probability):
        return self.random.random() < probability

    def note(self, what):
        self.said[what] += 1
        return True

    def name(self):
        self.names += 1
        return f"x{self.names}"

    # ---- the writer's schema

    def fields(self, fields, readers):
        out = []
        for field, own in zip(fields, readers):
            if "default" in own and self.chance(0.25) and self.note("missing"):
                continue
            if self.chance(0.1) and self.note("alias"):
                alias = self.name()
                own.setdefault("aliases", []).append(alias)
                field["name"] = alias
            field["reader"] = own["name"]
            field["type"] = self.type(field["type"], own)
            field.pop("default", None)
            out.append(field)
        for _ in range(self.random.randrange(3)):
            self.note("unknown field")
            out.append({"name": self.name(), "type": self.foreign(0)})
        if self.chance(0.5) and self.note("another order"):
            self.random.shuffle(out)
        return out

    def type(self, kind, own):
        if self.chance(0.005) and self.note("does not resolve"):
            return self.random.choice(["double", "boolean", "long", {"type": "map", "values": "long"}, "null"])
        if isinstance(kind, list):
            inner = self.inner(next(k for k in kind if k != "null"), own, 1)
            if self.chance(0.3) and self.note("out of a union"):
                return inner
            branches = [inner, "null"] if self.chance(0.3) and self.note("union in another order") else ["null", inner]
            if self.chance(0.2) and self.note("a branch more"):
                branches.append({"type": "fixed", "name": self.name(), "size": 3})
            return branches
        inner = self.inner(kind, own, 0)
        return [inner] if self.chance(0.1) and self.note("into a union") else inner

    def inner(self, kind, own, branch):
        name = kind.get("type") if isinstance(kind, dict) else kind
        if name in PROMOTED and self.chance(0.3) and self.note(f"{PROMOTED[name]} to {name}"):
            return PROMOTED[name]
        if name == "enum":
            return self.enum(kind, own, branch)
        if name == "array":
            items = own["type"]["items"]
            if isinstance(kind["items"], dict) and kind["items"]["type"] == "record":
                kind["items"]["fields"] = self.fields(kind["items"]["fields"], items["fields"])
            elif isinstance(kind["items"], dict):
                kind["items"] = self.enum(kind["items"], {"type": items}, 0)
        return kind

    def enum(self, kind, own, branch):
        readers = own["type"][branch] if isinstance(own["type"], list) else own["type"]
        kind = dict(kind, symbols=list(kind["symbols"]))
        if self.chance(0.5) and self.note("symbols in another order"):
            self.random.shuffle(kind["symbols"])
        if self.chance(0.3):
            kind["symbols"].append("SOMETHING_ELSE")
            if self.chance(0.7) and self.note("enum default"):
                readers["default"] = self.random.choice(readers["symbols"])
            else:
                self.note("unknown symbol")
        return kind

    def foreign(self, depth):
        kinds = ["null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed", "enum"]
        kind = self.random.choice(kinds + (["array", "map", "record", "union"] if depth < 3 else []))
        if kind == "fixed":
            return {"type": "fixed", "name": self.name(), "size": self.random.randrange(1, 9)}
        if kind == "enum":
            return {"type": "enum", "name": self.name(), "symbols": ["P", "Q"]}
        if kind == "array":
            return {"type": "array", "items": self.foreign(depth + 1)}
        if kind == "map":
            return {"type": "map", "values": self.foreign(depth + 1)}
        if kind == "record":
            inner = [{"name": self.name(), "type": self.foreign(depth + 1)} for _ in range(self.random.randrange(4))]
            return {"type": "record", "name": self.name(), "fields": inner}
        if kind == "union":
            return ["null", {"type": "array", "items": self.foreign(depth + 1)}, "string"]
        return kind

    # ---- a value of it

    def value(self, kind, field):
        if isinstance(kind, list):
            required = field.get("reader") in REQUIRED
            branches = [k for k in kind if not (k == "null" and required and len(kind) > 1)]
            return self.value(self.random.choice(branches), field)
        name = kind["type"] if isinstance(kind, dict) else kind
        if isinstance(name, (dict, list)):
            return self.value(name, field)
        make = getattr(self, f"make_{name}", None)
        return make(kind, field) if make else None

    def make_record(self, kind, _):
        return {field["name"]: self.value(field["type"], field) for field in kind["fields"]}

    def make_array(self, kind, field):
        return [self.value(kind["items"], {}) for _ in range(self.random.randrange(4))]

    def make_map(self, kind, _):
        return {self.name(): self.value(kind["values"], {}) for _ in range(self.random.randrange(4))}

    def make_enum(self, kind, _):
        return self.random.choice(kind["symbols"])

    def make_fixed(self, kind, _):
        return self.random.randbytes(kind["size"])

    def make_boolean(self, *_):
        return self.chance(0.5)

    def make_int(self, _, field):
        name = field.get("reader")
        if name == "satisfaction":
            return self.random.randrange(1, 6)
        return self.random.randrange(11) if name else self.random.randrange(-2**31, 2**31)

    def make_long(self, _, field):
        if field.get("reader") in ("satisfaction", "nps"):
            return self.make_int(None, field)
        return self.random.choice([0, 1, 5, 2**31, 2**40]) if field.get("reader") else self.random.randrange(-2**63, 2**63)

    def make_float(self, *_):
        return 1.5

    make_double = make_float

    def make_string(self, _, field):
        if field.get("reader") and self.chance(0.5):  # lengths around a word, and around one byte of size
            return "x" * self.random.choice([0, 1, 7, 8, 9, 15, 16, 17, 62, 63, 64])
        return self.random.choice(["a", "折々", "x" * 40]) if field.get("reader") else self.random.choice(["", "é", "z" * 300])

    def make_bytes(self, _, field):
        return self.make_string(None, field).encode()


def plain(schema):
    """Without our own notes, and times as the numbers that they are."""
    if isinstance(schema, dict):
        return {key: plain(value) for key, value in schema.items() if key not in ("reader", "logicalType", "doc")}
    return [plain(item) for item in schema] if isinstance(schema, list) else schema


def normal(event):
    """What struct event can hold: "" is absent, concerns are a set."""
    out = {key: value for key, value in event.items() if key not in UNREAD}
    for key, value in out.items():
        if value == "":
            out[key] = None
    if "concerns" in out:
        out["concerns"] = sorted(set(out["concerns"]))
    if "lines" in out:
        out["lines"] = [dict(line, sku=line["sku"] or None) for line in out["lines"]]
    if out.get("version") == 0:
        out["version"] = None
    if "channel" in out:
        out["channel"] = out["channel"] or "EMAIL"
    return out


def expected(case, datum):
    try:
        reader = fastavro.parse_schema(plain(case.reader), {})
        return normal(fastavro.schemaless_reader(BytesIO(datum), fastavro.parse_schema(plain(case.writer), {}), reader))
    except Exception as error:  # fastavro has no one class for "does not resolve"
        return error


def main():
    program, seed, cases = sys.argv[1], sys.argv[2], int(sys.argv[3])
    asked = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ours = {name: fastavro.parse_schema(plain(json.loads((ROOT / f"schemas/{name}.avsc").read_text())), {}) for name in TOPICS.values()}
    said, failed = collections.Counter(), 0
    for number in range(cases):
        case = Case(f"{seed}-{number}")
        writer = fastavro.parse_schema(plain(case.writer), {})
        said.update(case.said)
        for _ in range(VALUES):
            out = BytesIO()
            fastavro.schemaless_writer(out, writer, case.datum)
            want = expected(case, out.getvalue())
            asked.stdin.write("\n".join([case.topic, json.dumps(plain(case.reader)), json.dumps(plain(case.writer)),
                                         out.getvalue().hex()]) + "\n")
            asked.stdin.flush()
            answer = asked.stdout.readline().strip()
            got = answer
            if not answer.startswith("refused"):
                got = normal(fastavro.schemaless_reader(BytesIO(bytes.fromhex(answer)[5:]), ours[TOPICS[case.topic]]))
            verdict = judge(case, want, got)
            said[verdict] += 1
            if verdict == "WRONG" and (failed := failed + 1) <= 5:
                print(f"FAILED: case {seed}-{number} ({case.topic})\n reader {json.dumps(plain(case.reader))}\n"
                      f" writer {json.dumps(plain(case.writer))}\n fastavro {want!r}\n we say   {got!r}")
            case.datum = case.value(case.writer, {})
    print(", ".join(f"{count} {what}" for what, count in sorted(said.items())))
    for what in ("same values", "both refuse", "alias", "enum default", "int to long", "bytes to string", "out of a union"):
        if not said[what]:
            print(f"FAILED: never reached: {what}")
            failed += 1
    return 1 if failed else 0


def judge(case, want, got):
    refused = isinstance(got, str)
    if isinstance(want, Exception):
        return "both refuse" if refused else "lenient" if lenient(case) else "WRONG"
    if refused:
        return "refused by a ruling" if got.split()[1] in ("missing_field", "out_of_range", "bad_text") else "WRONG"
    return "same values" if want == got else "WRONG"


def lenient(case):
    """A null, or a branch that is never taken, where the reader has no null: absent, with the field's default."""
    return case.said["does not resolve"] > 0 or case.said["a branch more"] > 0


if __name__ == "__main__":
    sys.exit(main())
