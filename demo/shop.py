#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's shop: one small HTTP service with the real client libraries. It counts requests (prometheus_client), sends a span
for each (OpenTelemetry SDK, OTLP over HTTP) and writes JSON log lines into a file as a container runtime would (CRI format).

Its share of failing requests is read from a file, so that the demo can turn a running canary bad."""
import argparse
import datetime
import http.server
import json
import pathlib
import random
import threading
import time

import prometheus_client
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

REQUESTS = prometheus_client.Counter("http_requests", "Requests answered.", ["code", "path"])
DURATION = prometheus_client.Histogram("http_request_duration_seconds", "Time to answer.", ["path"],
                                       buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1))


class CriLog:
    """Appends lines as containerd writes them: time, stream, F (whole line), text."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()

    def write(self, **fields):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        with self.lock:
            self.file.write(f"{now} stdout F {json.dumps(fields)}\n")


def handler(args, log, tracer):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, code, body, kind="text/plain"):
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path == "/metrics":
                self.reply(200, prometheus_client.generate_latest(), prometheus_client.CONTENT_TYPE_LATEST)
                return
            start = time.monotonic()
            with tracer.start_as_current_span(f"GET {self.path}", kind=SpanKind.SERVER) as span:
                fails = random.random() < float(pathlib.Path(args.errors).read_text() or 0)
                time.sleep(random.expovariate(1 / 0.004))
                code = 500 if fails else 200
                span.set_attribute("http.response.status_code", code)
                if fails:
                    span.set_status(StatusCode.ERROR, "payment refused")
                took = time.monotonic() - start
                log.write(level="error" if fails else "info", msg="payment refused" if fails else "sold", path=self.path,
                          code=code, ms=round(1000 * took, 1), trace_id=format(span.get_span_context().trace_id, "032x"))
            REQUESTS.labels(code=str(code), path=self.path).inc()
            DURATION.labels(path=self.path).observe(took)
            self.reply(code, b"sold\n" if code == 200 else b"payment refused\n")

    return Handler


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--errors", required=True, help="file that holds the share of requests that fail")
    parser.add_argument("--log", required=True)
    parser.add_argument("--otlp", required=True, help="http://host:port of the OTLP receiver")
    args = parser.parse_args()
    provider = TracerProvider(resource=Resource.create({"service.name": "shop", "service.version": args.version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{args.otlp}/v1/traces"), schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port),
                                             handler(args, CriLog(args.log), trace.get_tracer("shop")))
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
