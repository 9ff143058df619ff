"""A small OpenTelemetry collector for a test: OTLP over HTTP, taken apart by OpenTelemetry's own protocol definitions, so that
an unknown field, a wrong type or an id that is not hex, of another length or all zeros is refused with 400 (the suite `collector`
asks a real one). Hosted ones want TLS and a header, else 401: so does this one when it is told to."""
import base64
import http.server
import json
import re
import ssl
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

IDS = {"traceId": re.compile(r"[0-9a-f]{32}"), "spanId": re.compile(r"[0-9a-f]{16}"), "parentSpanId": re.compile(r"[0-9a-f]{16}|")}


def with_ids(value):
    """OTLP's JSON writes ids in hex, where protobuf's own JSON means base64."""
    if isinstance(value, list):
        return [with_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for key, item in value.items():
        if key in IDS:
            if not IDS[key].fullmatch(item) or not item.strip("0") and item:
                raise ValueError(f"{key} is no lower-case hex id: {item!r}")
            item = base64.b64encode(bytes.fromhex(item)).decode()
        made[key] = with_ids(item)
    return made


class Collector:
    def __init__(self, port, certificate=None, wanted=()):
        """certificate: key and certificates (PEM), for TLS; wanted: {header: value}."""
        self.spans, self.refused, self.resources, self.wanted = [], [], [], dict(wanted)
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = all(self.headers[name] == value for name, value in collector.wanted.items())
                status = collector.take(self.path, self.headers.get_content_type(), body) if known else 401
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, kind, body):
        request = trace_service_pb2.ExportTraceServiceRequest()
        try:
            if (path, kind) != ("/v1/traces", "application/json"):
                raise ValueError(f"{kind} at {path}")
            json_format.ParseDict(with_ids(json.loads(body)), request)
        except Exception as error:
            self.refused.append(f"{error}: {body[:300]!r}")
            return 400
        for resource in request.resource_spans:
            self.resources.append({a.key: a.value.string_value for a in resource.resource.attributes})
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return 200

    def attributes(self):
        """[(name, {attribute: value})] of all spans."""
        return [(span.name, {a.key: a.value.string_value or a.value.int_value for a in span.attributes}) for span in self.spans]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
