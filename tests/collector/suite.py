"""A worker's spans as a real OpenTelemetry collector prints them: tests/collector/run."""
import os
import re
import subprocess
import sys
from datetime import datetime

from rig import INPUTS, Rig, free_port, now_ms, wait_for
from runner import claim, run_suite

ORDERS = 60  # every tenth without the sampled flag


class RealCollector:
    """The process, and what its debug exporter printed."""

    def __init__(self, folder, port):
        config, self.log = folder / "collector.yaml", folder / "collector.log"
        config.write_text(f'receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}\n'
                          "exporters: {debug: {verbosity: detailed}}\n"
                          "service: {telemetry: {metrics: {level: none}}, pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n")
        self.process = subprocess.Popen([os.environ["OTELCOL"], "--config", f"file:{config}"], stdout=self.log.open("w"),
                                        stderr=subprocess.STDOUT)

    def ready(self):
        claim(self.process.poll() is None, "the collector ended by itself")
        return "Everything is ready" in self.log.read_text()

    def spans(self):
        """[{field: text, "attributes": {...}, "links": [trace ids], "resource": {...}}]"""
        found = []
        for resource in re.split(r"^.*ResourceSpans #\d+$", self.log.read_text(), flags=re.M)[1:]:
            head, *spans = re.split(r"^Span #\d+$", resource, flags=re.M)
            for text in spans:
                before, *links = re.split(r"^SpanLink #\d+$", text, flags=re.M)
                span = dict(re.findall(r"^    (\S[^:]*?) *: (.*)$", before, re.M))
                span["attributes"] = attributes(before)
                span["links"] = [re.search(r"-> Trace ID: (\w+)", link)[1] for link in links]
                span["resource"] = attributes(head)
                found.append(span)
        return found

    def close(self):
        self.process.terminate()
        self.process.wait(60)


def attributes(text):
    return {key: value for key, _, value in re.findall(r"^     -> ([^:]+): (Str|Int)\((.*)\)$", text, re.M)}


def order(rig, number):
    name = f"o{number}"
    event = {"event_id": name, "customer_id": name, "occurred_at": now_ms(), "kind": "PLACED", "order_id": name}
    parent = f"00-{0xabc000 + number:032x}-{0xdef000 + number:016x}-{'00' if number % 10 == 0 else '01'}"
    rig.producer.produce("crm.orders", value=rig.schemas.encode("order", rig.fit("order", event)), key=name,
                         partition=number % INPUTS["orders"][1], headers={"traceparent": parent})
    rig.produced += 1
    return name, parent


def all_of(spans, parents):
    """The spans, once each trace that is to be sampled has its action's."""
    told = {span["Trace ID"] for span in spans if span["Name"] == "send crm.actions"}
    return spans if told >= {parent[3:35] for parent in parents.values() if parent.endswith("01")} else None


def of_an_action(span, action, parent):
    """Names, ids and attributes of the span of an action, those that the messaging conventions require of a producer."""
    wanted = {"messaging.system": "kafka", "messaging.operation.name": "send", "messaging.operation.type": "send",
              "messaging.destination.name": "crm.actions", "messaging.message.id": str(action["action_id"]), "oriori.rule": "thank_you", "oriori.cause.topic": "crm.orders"}
    claim(span["attributes"] == wanted, f"attributes {span['attributes']}, wanted {wanted}")
    claim((span["Kind"], span["Trace ID"], span["Parent ID"]) == ("Producer", parent[3:35], parent[36:52]), f"{span} of {parent}")
    at_format = "%Y-%m-%d %H:%M:%S"
    began, ended = (datetime.strptime(span[f"{which} time"][:19], at_format) for which in ("Start", "End"))
    claim(began <= ended and span["Status code"] == "Unset", f"times or status: {span}")


def a_collector_prints_the_spans_links_and_attributes(rig):
    port = free_port()
    collector = RealCollector(rig.folder, port)
    try:
        wait_for("the collector", 60, collector.ready)
        rig.start("a", tracing={"endpoint": f"http://127.0.0.1:{port}/v1/traces"})
        parents = dict(order(rig, number) for number in range(ORDERS))
        rig.flush()
        rig.drain()
        rig.stop("a")  # sends what is left
        spans = wait_for("the spans of all sampled actions", 60, lambda: all_of(collector.spans(), parents))
    finally:
        collector.close()
    sampled = {name: parent for name, parent in parents.items() if parent.endswith("01")}
    actions, own = {}, {}
    for _, _, key, value, headers in rig.read("crm.actions", headers=True):
        action = rig.schemas.decode(value)[1]
        if action["rule"] == "thank_you":
            actions[key.decode()], own[key.decode()] = action, dict(headers)["traceparent"].decode()
    claim(set(actions) == set(parents), f"{len(actions)} of {ORDERS} thanked")
    sends = {span["ID"]: span for span in spans if span["Name"] == "send crm.actions"}
    for name, parent in sampled.items():
        claim(own[name][36:52] in sends, f"no span {own[name]} for {name}")
        of_an_action(sends.pop(own[name][36:52]), actions[name], parent)
    unsampled = {parent[3:35] for parent in parents.values()} - {parent[3:35] for parent in sampled.values()}
    claim(not any(span["Trace ID"] in unsampled for span in sends.values()), "a span of a trace that is not sampled")
    batches = [span for span in spans if span["Name"] == "process"]
    linked = {trace for span in batches for trace in span["links"]}
    claim(linked >= {parent[3:35] for parent in sampled.values()} and not linked & unsampled, f"links to {len(linked)} traces")
    kafka = {"messaging.system": "kafka", "messaging.operation.name": "process", "messaging.operation.type": "process",
             "messaging.consumer.group.name": "oriori-test"}
    for span in batches:
        claim(span["attributes"].items() >= kafka.items(), f"attributes {span['attributes']}, wanted {kafka}")
        claim(span["Kind"] == "Consumer" and int(span["attributes"]["messaging.batch.message_count"]) > 0, f"batch {span}")
    claim({span["resource"]["service.name"] for span in spans} == {"oriori-test"}, "service.name")
    version = rig.oriori("version").stdout.split()[1]
    claim({span["resource"]["service.version"] for span in spans} == {version}, "service.version")
    print(f"  {len(spans)} spans, of them {len(batches)} batches with links to {len(linked)} traces")


if __name__ == "__main__":
    sys.exit(run_suite("collector", {"a_collector_prints_the_spans_links_and_attributes":
                                     (Rig, a_collector_prints_the_spans_links_and_attributes)}))
