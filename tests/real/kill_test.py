#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments under load of all three signals. What was acknowledged is delivered: every log line and every span
that was answered with 200 reaches the backend; what is there twice was not acknowledged; the balances hold after each start."""
import collections
import http.server
import json
import os
import random
import re
import struct
import threading
import time
import urllib.request

import agent_story
from agent_story import backends

KILLS = int(os.environ.get("PICKET_KILLS", "20"))


def varint(data, i):
    shift = value = 0
    while True:
        byte = data[i]
        i += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, i
        shift += 7


def fields(data):
    """(number, value) of a protobuf message; bytes for length-delimited ones."""
    i = 0
    while i < len(data):
        tag, i = varint(data, i)
        kind = tag & 7
        if kind == 0:
            value, i = varint(data, i)
        elif kind == 1:
            value, i = data[i:i + 8], i + 8
        elif kind == 2:
            n, i = varint(data, i)
            value, i = data[i:i + n], i + n
        else:
            value, i = data[i:i + 4], i + 4
        yield tag >> 3, value


def unsnappy(data):
    """A raw Snappy block. Source: the format description of the snappy project."""
    size, i = varint(data, 0)
    out = bytearray()
    while i < len(data):
        tag = data[i]
        i += 1
        if tag & 3 == 0:
            n = tag >> 2
            if n >= 60:
                k = n - 59
                n, i = int.from_bytes(data[i:i + k], "little"), i + k
            out += data[i:i + n + 1]
            i += n + 1
            continue
        if tag & 3 == 1:
            n, offset, i = 4 + (tag >> 2 & 7), (tag >> 5) << 8 | data[i], i + 1
        else:
            k = 2 if tag & 3 == 2 else 4
            n, offset, i = 1 + (tag >> 2), int.from_bytes(data[i:i + k], "little"), i + k
        for _ in range(n):
            out.append(out[-offset])
    assert len(out) == size
    return bytes(out)


class Backend(http.server.ThreadingHTTPServer):
    """Loki, Tempo and Prometheus in one, which only count; it fails some requests, before or after it took them."""

    def __init__(self):
        self.lines, self.spans, self.samples = collections.Counter(), collections.Counter(), collections.Counter()
        self.lock, self.random = threading.Lock(), random.Random(7)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    mood = outer.random.random()
                    if mood > 0.06:
                        outer.take(self.path, body)
                self.send_response(503 if mood < 0.1 else 200 if "traces" in self.path else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, path, body):
        if "loki" in path:
            for _, stream in fields(unsnappy(body)):
                for number, entry in fields(stream):
                    if number == 2:
                        self.lines[dict(fields(entry))[2].decode()] += 1
        elif "traces" in path:
            for _, resource in fields(body):
                for number, scope in fields(resource):
                    if number == 2:
                        for n, span in fields(scope):
                            if n == 2:
                                self.spans[dict(fields(span))[2].hex()] += 1
        else:
            for number, series in fields(unsnappy(body)):
                if number == 1:
                    labels = [dict(fields(v)) for n, v in fields(series) if n == 1]
                    name = next(l[2].decode() for l in labels if l[1] == b"__name__")
                    for n, sample in fields(series):
                        if n == 2:
                            s = dict(fields(sample))
                            self.samples[(name, s[2], struct.unpack("<d", s.get(1, bytes(8)))[0])] += 1


class Exposition(http.server.ThreadingHTTPServer):
    """A target whose counter tells how often it was scraped."""

    def __init__(self):
        self.scrapes = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.scrapes += 1
                body = "".join(f'm{i}{{a="b"}} {outer.scrapes}\n' for i in range(600)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


def delimited(number, data):
    out = bytearray([number << 3 | 2])
    n = len(data)
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out) + data


class Load(threading.Thread):
    """Writes log lines and pushes spans without a pause; remembers what was acknowledged."""

    def __init__(self, folder, otlp):
        super().__init__(daemon=True)
        self.file = open(folder / "load.log", "a", buffering=1)
        self.url = f"http://127.0.0.1:{otlp}/v1/traces"
        self.running, self.written, self.acknowledged = True, 0, set()

    def run(self):
        while self.running:
            for _ in range(20):
                self.file.write(f"line {self.written}\n")
                self.written += 1
            ids = [os.urandom(8) for _ in range(10)]
            trace = os.urandom(16)
            times = b"\x39" + struct.pack("<Q", time.time_ns()) + b"\x41" + struct.pack("<Q", time.time_ns())
            spans = b"".join(delimited(2, delimited(1, trace) + delimited(2, i) + delimited(5, b"load") + times) for i in ids)
            request = urllib.request.Request(self.url, delimited(1, delimited(2, spans)), {"Content-Type": "application/x-protobuf"})
            try:
                with urllib.request.urlopen(request, timeout=2) as reply:
                    if reply.status == 200:
                        self.acknowledged.update(i.hex() for i in ids)
            except OSError:
                pass  # killed in between: not acknowledged
            time.sleep(0.005)


def check_balances(picket):
    for q in picket.status()["queues"]:
        assert q["queued"] >= 0 and q["in"] == q["out"] + q["queued"] + q["dropped"], q
        assert q["dropped"] == 0, q


def main():
    with agent_story.folder() as folder:
        backend, target, otlp = Backend(), Exposition(), backends.free_port()
        base = f"http://127.0.0.1:{backend.port}"
        picket = agent_story.Picket(folder, {
            "collectors": {"scrape": {"scrape_configs": [{"job_name": "t", "scrape_interval": "100ms", "scrape_timeout": "100ms",
                                                          "static_configs": [{"targets": [f"127.0.0.1:{target.port}"]}]}]},
                           "logs": [{"files": [str(folder / "load.log")], "format": "plain", "start_at": "beginning"}],
                           "otlp": {"http": f"127.0.0.1:{otlp}", "grpc": "", "span_metrics": {"enabled": False}}},
            "exporters": {"remote_write": [{"url": base + "/api/v1/write"}], "loki": [{"url": base, "batch_wait": "100ms"}],
                          "otlp": [{"endpoint": base}]}})
        load = Load(folder, otlp)
        picket.start()
        load.start()
        chance = random.Random(11)
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.2, 1.5))
                picket.process.kill()
                picket.start()
                check_balances(picket)
            time.sleep(1)
            load.running = False
            load.join()
            settle(picket, backend, load)
        finally:
            picket.process.kill()
        with backend.lock:  # a request may still be on its way in
            print(f"{KILLS} kills: {load.written} lines and {len(load.acknowledged)} spans acknowledged, none lost; "
                  f"{sum(n - 1 for n in backend.lines.values())} lines, {sum(n - 1 for n in backend.spans.values())} spans twice; "
                  f"{len(backend.samples)} samples, {sum(n - 1 for n in backend.samples.values())} twice")


def settle(picket, backend, load):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with backend.lock:
            lines = len(backend.lines) >= load.written
            spans = load.acknowledged <= set(backend.spans)
        if lines and spans and all(q["queued"] == 0 for q in picket.status()["queues"] if q["component"] != "remote_write"):
            break
        time.sleep(0.2)
    check_balances(picket)
    with backend.lock:
        missing = [i for i in range(load.written) if f"line {i}" not in backend.lines]
        assert not missing, f"{len(missing)} lines lost, first {missing[:5]}"
        lost = load.acknowledged - set(backend.spans)
        assert not lost, f"{len(lost)} acknowledged spans lost"
        stale = [k for k in backend.samples if not re.fullmatch(r"m\d+|up|scrape_\w+", k[0])]
        assert not stale, stale[:3]


if __name__ == "__main__":
    main()
