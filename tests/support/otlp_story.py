# SPDX-License-Identifier: Apache-2.0
"""What the stories about traces share: the relay under test, a backend that answers as told, and the SDK's environment."""
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

PEERS = pathlib.Path(os.environ.get("PICKET_PEERS", pathlib.Path.home() / ".cache/picket/peers")) / "bin"
BUILD = pathlib.Path(os.environ.get("PICKET_BUILD", "build/dev"))
RELAY = BUILD / "tests/exporters/otlp/otlp_relay"
SDK = pathlib.Path(os.environ.get("PICKET_OTLP_SDK", pathlib.Path.home() / ".cache/picket/otlp-sdk"))
PACKAGES = ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-exporter-otlp-proto-http"]


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def skip(why):
    print("SKIPPED:", why)
    sys.exit(77)


def under_sdk():
    """Runs this program again inside an environment that has the OpenTelemetry SDK, made on first use."""
    python = SDK / "bin/python"
    if os.environ.get("PICKET_IN_SDK") == "1":
        return
    if not python.exists() or subprocess.run([python, "-c", "import opentelemetry.exporter.otlp.proto.http, "
                                              "opentelemetry.exporter.otlp.proto.grpc"], capture_output=True).returncode:
        made = subprocess.run([sys.executable, "-m", "venv", SDK], capture_output=True, text=True)
        if made.returncode == 0:
            made = subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], capture_output=True, text=True)
        if made.returncode != 0:
            skip("the OpenTelemetry SDK cannot be installed: " + (made.stderr.strip().splitlines() or ["?"])[-1])
    os.execve(python, [str(python), *sys.argv], dict(os.environ, PICKET_IN_SDK="1"))


class Relay:
    """Picket's traces path: collector, spool, exporter."""

    def __init__(self, *endpoints, spool=None):
        if not RELAY.exists():
            skip(f"otlp_relay is not built in {BUILD}")
        self.spool = spool or tempfile.mkdtemp(prefix="picket-otlp-")
        self.process = subprocess.Popen([RELAY, self.spool, *endpoints], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        ports = json.loads(self.process.stdout.readline())
        self.grpc, self.http = ports["grpc"], ports["http"]
        self.log = []
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()

    def books(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait(self, done, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            books = self.books()
            if done(books):
                return books
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds} s in vain; books: {self.books()}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=30)
        shutil.rmtree(self.spool, ignore_errors=True)
        assert code == 0, f"the relay ended with {code}: {''.join(self.log[-20:])}"


class Backend:
    """An OTLP/HTTP backend. `answers` are statuses for the requests to come; then 200."""

    def __init__(self, answers=(), port=0):
        self.bodies, self.answers, self.requests = [], list(answers), 0
        lock, outer = threading.Lock(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    outer.requests += 1
                    status = outer.answers.pop(0) if outer.answers else 200
                    if status == 200:
                        outer.bodies.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def spans(self):
        """{(trace id, span id): (service, span)} of everything accepted; a span that came twice fails."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
        out = {}
        for body in list(self.bodies):
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                service = next((a.value.string_value for a in resource.resource.attributes if a.key == "service.name"), "")
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        key = (span.trace_id.hex(), span.span_id.hex())
                        assert key not in out, f"{key} came twice"
                        out[key] = (service, span)
        return out


def provider(exporter, service):
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    made = TracerProvider(resource=Resource.create({"service.name": service}))
    made.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=50))
    return made


def send(exporter, service, count):
    """`count` server spans with a child each, one in ten an error; {(trace, span): name}."""
    from opentelemetry.trace import SpanKind, Status, StatusCode
    made = provider(exporter, service)
    tracer = made.get_tracer("story", "1.0")
    sent = {}

    def note(span):
        context = span.get_span_context()
        sent[(f"{context.trace_id:032x}", f"{context.span_id:016x}")] = span.name

    for i in range(count):
        with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER, attributes={"i": i, "list": ["a", "b"]}) as span:
            note(span)
            span.add_event("seen", {"n": i})
            if i % 10 == 0:
                span.set_status(Status(StatusCode.ERROR, "boom"))
            with tracer.start_as_current_span("query", kind=SpanKind.CLIENT) as child:
                note(child)
    assert made.force_flush(20_000), "the SDK could not deliver"
    made.shutdown()
    return sent
