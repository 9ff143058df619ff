"""Schemas from a real registry (Apicurio), on a real Kafka and Redis. One set of servers for all tests; each test has
customers of its own."""
import json
import os
import pathlib
import shutil
import signal
import sys
import time
import traceback
import urllib.error
import urllib.request
from io import BytesIO

import fastavro

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from rig import ROOT, Failure, Rig, free_port, home, wait_for  # noqa: E402

TESTS = {}
UNKNOWN_ID = 424242


def test(function):
    TESTS[function.__name__] = function
    return function


def claim(condition, text):
    if not condition:
        raise Failure(text)


class RegistryRig(Rig):
    def __init__(self, folder, **settings):
        super().__init__(folder)
        self.registry_port = free_port()
        self.environment["ORIORI_LOCAL_REGISTRY_PORT"] = str(self.registry_port)
        self.url = f"http://127.0.0.1:{self.registry_port}/apis/ccompat/v7"
        # The first address never answers: every first question is a failover.
        self.settings = {"registry.url": f"http://127.0.0.1:1/apis {self.url}/", "registry.timeout": "10s"}

    def __enter__(self):
        self.registry_up()
        return super().__enter__()

    def registry_up(self):
        self.servers("up", "registry")
        wait_for("the registry", 60, self.registry_answers, every=0.2)

    def registry_answers(self):
        try:
            return self.ask("/subjects") is not None
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def ask(self, path, body=None):
        """The registry's answer; by another client than ours."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/vnd.schemaregistry.v1+json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)

    def register(self, subject, schema):
        return self.ask(f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})["id"]

    def schema(self, number):
        return fastavro.parse_schema(json.loads(self.ask(f"/schemas/ids/{number}")["schema"]), {})

    def outputs(self, topic):
        """What a topic holds, decoded by the ids on the wire and nothing else."""
        values, known = [], {}
        for _, _, _, value in self.read(topic):
            number = int.from_bytes(value[1:5], "big")
            known[number] = known.get(number) or self.schema(number)
            values.append((number, fastavro.schemaless_reader(BytesIO(value[5:]), known[number])))
        return values

    def order(self, number, schema, customer):
        """A first order in the writer's own schema."""
        out = BytesIO()
        out.write(b"\0" + number.to_bytes(4, "big"))
        event = {"event_id": f"e-{customer}", "customer_id": customer, "kind": "PLACED", "order_id": f"o-{customer}",
                 "occurred_at": int(time.time() * 1000), "marketing_consent": True, "email_registered": True,
                 "lines": [{"sku": "DAILY-1", "quantity": 1, "unit_price": 3980}]}
        fastavro.schemaless_writer(out, schema, {**event, "warehouse": "Kobe"})
        self.raw("orders", home(customer, 3), customer, out.getvalue())

    def thanked(self):
        return {action["customer_id"] for _, action in self.outputs("crm.actions") if action["rule"] == "thank_you"}

    def letters(self):
        lines = self.oriori("dlq", "show", "--all", "--config", self.config).stdout.splitlines()
        return [json.loads(line) for line in lines]


def own_order(extra):
    """A shop's own writer: our order with its fields in another order and one that we do not know."""
    ours = json.loads((ROOT / "schemas/order.avsc").read_text())
    ours["fields"].reverse()
    ours["fields"].insert(0, {"name": "warehouse", "type": "string"})
    ours["doc"] = extra
    return ours


@test
def ids_are_the_registrys(rig):
    ours = own_order("first")
    number = rig.register("crm.orders-value", ours)
    parsed = fastavro.parse_schema(ours, {})
    for i in range(20):
        rig.order(number, parsed, f"a{i}")
    rig.raw("orders", 0, "a0", b"\0" + UNKNOWN_ID.to_bytes(4, "big") + b"x")
    rig.flush()
    rig.start("a")
    rig.drain()
    claim({f"a{i}" for i in range(20)} <= rig.thanked(), f"thanked: {rig.thanked()}")
    for topic in ("actions", "transitions", "decisions", "dead"):
        subject = rig.ask(f"/subjects/crm.{topic}-value/versions/latest")
        numbers = {number for number, _ in rig.outputs(f"crm.{topic}")}
        claim(numbers == {subject["id"]}, f"{topic}: {numbers} on the wire, {subject['id']} in the registry")
    letters = [letter for letter in rig.letters() if letter["reason"] == "unknown_schema"]
    claim(len(letters) == 1, f"dead letters: {letters}")
    claim(f"schema {UNKNOWN_ID}: the schema registry {rig.url}: " in letters[0]["message"], letters[0]["message"])
    shown = rig.oriori("consume", "crm.dead", "--from", "beginning", "--json", "--config", rig.config).stdout
    claim(json.loads(shown.splitlines()[0])["reason"] == "unknown_schema", f"consume: {shown}")


@test
def produce_registers_and_loses_nothing(rig):
    answer = {"topic": "surveys", "event": {
        "event_id": "s1", "customer_id": "b1", "occurred_at": "2026-01-05T10:00:00Z", "survey_id": "q", "response_id": "r1",
        "purpose": "MONTHLY", "satisfaction": 5, "comment": "とても良い", "answers": {"taste": "good", "again": True, "n": 3}}}
    note = {"topic": "customers", "event": {"event_id": "c1", "customer_id": "b1", "kind": "SUPPORT_CONTACTED",
                                            "occurred_at": "2026-01-05T10:00:00Z", "note": "asked for a refund"}}
    lines = "\n".join(json.dumps(line) for line in (answer, note))
    rig.oriori("produce", "all", "--config", rig.config, input=lines)
    (number, survey), = rig.outputs("crm.surveys")
    claim(number == rig.ask("/subjects/crm.surveys-value/versions/latest")["id"], "the id of a produced survey")
    claim(survey["comment"] == "とても良い", f"comment: {survey['comment']}")
    claim(survey["answers"] == {"taste": "good", "again": "true", "n": "3"}, f"answers: {survey['answers']}")
    (_, contact), = rig.outputs("crm.customers")
    claim(contact["note"] == "asked for a refund", f"note: {contact['note']}")
    rig.drain()


@test
def a_registry_that_is_away_is_waited_for(rig):
    """Also by workers that are killed meanwhile: none of it is a dead letter, nor counted against a record."""
    late = own_order("second")
    number = rig.register("crm.orders-value", late)
    parsed = fastavro.parse_schema(late, {})
    before = len(rig.letters())
    rig.kill_server("registry")
    for i in range(8):
        rig.order(number, parsed, f"c{i}")
    rig.flush()
    said = f"the schema registry {rig.url}: Couldn't connect"
    wait_for("the worker to say so", 60, lambda: rig.alive() or said in rig.log_of("a"))
    rig.kill("a")
    for tries in range(4):
        rig.start(f"again{tries}", **{"registry.outputs": "local"})  # without ids of its own to wait for
        wait_for("another worker to say so", 60, lambda: rig.alive() or said in rig.log_of(f"again{tries}"))
        rig.kill(f"again{tries}")
    rig.start("a")
    wait_for("a start that waits", 60, lambda: rig.alive() or "start: schema of crm.actions-value" in rig.log_of("a"))
    offsets, ends = rig.committed()
    claim(any(offsets[key] < ends[key] for key in ends if key[0] == "crm.orders"), "consumed without a schema")
    rig.registry_up()
    rig.drain()
    claim({f"c{i}" for i in range(8)} <= rig.thanked(), f"thanked: {rig.thanked()}")
    claim(len(rig.letters()) == before, f"dead letters: {rig.letters()[before:]}")
    rig.stop("a")


def run_one(name, rig):
    began = time.monotonic()
    try:
        TESTS[name](rig)
    except Exception as error:  # a test that cannot run has failed
        print(f"FAILED: {name}: {error}", flush=True)
        if not isinstance(error, Failure):
            traceback.print_exc()
        return False
    print(f"passed: {name} ({time.monotonic() - began:.0f} s)", flush=True)
    return True


def main():
    names = sys.argv[1:] or list(TESTS)
    folder = ROOT / "build" / "registry"
    shutil.rmtree(folder, ignore_errors=True)
    os.environ["no_proxy"] = "127.0.0.1"
    with RegistryRig(folder) as rig:
        results = [run_one(name, rig) for name in names]
    if all(results):
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
