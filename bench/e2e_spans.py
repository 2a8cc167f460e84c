#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OTLP over HTTP in, OTLP over HTTP out, agents in turns on the same load: requests of 1,000 spans of about 500 B at steady rates. CPU is
user plus system time of the agent's process from /proc over the window, RSS at its end; what came out is counted by its bytes.

  bench/e2e_spans.py                                 all agents and pipelines that are there
  bench/e2e_spans.py --rates 50000 --rounds 2 plain  nothing but passing through, twice
  bench/e2e_spans.py --picket OLD --picket NEW gzip  two builds beside each other"""
import argparse
import http.client
import json
import os
import pathlib
import random
import re
import socket
import struct
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "demo"))
import backends  # noqa: E402

SPANS = 1000  # in a request
PUSHERS = 4


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(number, key, value):
    any_value = field(1, value) if isinstance(value, str) else varint(3 << 3) + varint(value)
    return field(number, field(1, key) + field(2, any_value))


def span(rng, now):
    route = rng.choice(("/api/v1/cart", "/api/v1/orders", "/api/v1/items/{id}", "/api/v1/users/login"))
    status = rng.choice((200, 200, 200, 200, 404, 500))
    took = rng.randrange(100_000, 300_000_000)
    return field(2, b"".join((
        field(1, rng.randbytes(16)), field(2, rng.randbytes(8)), field(4, rng.randbytes(8)), field(5, f"GET {route}"), varint(6 << 3) + varint(2),
        varint(7 << 3 | 1) + struct.pack("<Q", now), varint(8 << 3 | 1) + struct.pack("<Q", now + took),
        attribute(9, "http.request.method", "GET"), attribute(9, "http.route", route), attribute(9, "http.response.status_code", status),
        attribute(9, "url.full", f"http://shop.example/api/v1/{rng.getrandbits(64):016x}?page={rng.randrange(100)}"),
        attribute(9, "client.address", f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"),
        attribute(9, "user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"), attribute(9, "thread.id", rng.randrange(64)),
        attribute(9, "shop.customer", f"{rng.getrandbits(64):016x}"), attribute(9, "db.query.text", "SELECT id, name, price FROM items WHERE id = $1 LIMIT 10"), field(15, varint(3 << 3) + varint(2 if status == 500 else 0)))))


def request(rng):
    resource = field(1, attribute(1, "service.name", "shop") + attribute(1, "service.version", "1.4.2") + attribute(1, "host.name", "node-1"))
    now = time.time_ns()
    return field(1, resource + field(2, field(1, field(1, "shop.tracing")) + b"".join(span(rng, now) for _ in range(SPANS))))


class Backend(threading.Thread):
    """Takes everything. Inflating is not its work: bytes are counted as they come."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.bytes = 0

    def run(self):
        while True:
            client, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        buffer, have = bytearray(1 << 20), 0
        view = memoryview(buffer)
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
        while True:
            n = client.recv_into(view[have:])
            if n == 0:
                return
            have += n
            end = buffer.find(b"\r\n\r\n", 0, have)
            if end < 0:
                continue
            left = length = int(re.search(rb"(?i)content-length: *(\d+)", bytes(buffer[:end])).group(1))
            left -= have - end - 4
            while left > 0:
                n = client.recv_into(view[:min(left, len(buffer))])
                if n == 0:
                    return
                left -= n
            have = 0
            self.bytes += length
            client.sendall(answer)


class Load:
    """Pushers that keep a rate together while `until` lies ahead."""

    def __init__(self, port, bodies, rate):
        self.sent = self.refused = 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.push, args=(port, bodies, rate / PUSHERS, i), daemon=True) for i in range(PUSHERS)]
        for thread in self.threads:
            thread.start()

    def push(self, port, bodies, rate, number):
        connection, begin, n = http.client.HTTPConnection("127.0.0.1", port), time.monotonic(), 0
        while not self.stop.wait(max(0, begin + n * SPANS / rate - time.monotonic())):
            connection.request("POST", "/v1/traces", bodies[(n + number) % len(bodies)], {"Content-Type": "application/x-protobuf"})
            reply = connection.getresponse()
            reply.read()
            n += 1
            if reply.status == 200:
                self.sent += SPANS
            else:
                self.refused += SPANS

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def usage(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), *(int(status.split(k)[1].split()[0]) / 1024 for k in ("VmRSS:", "VmHWM:"))


def commands(args, folder, out):
    """(agent and pipeline, command, port) in turns."""
    result = []
    for pipeline in ("plain", "gzip"):
        compression = "none" if pipeline == "plain" else "gzip"
        for i, binary in enumerate(args.picket or [str(ROOT / "build/release/agent/picket")]):
            name, port = f"picket-{pipeline}" + (f"-{i + 1}" if len(args.picket) > 1 else ""), backends.free_port()
            config = {"node": {"data_dir": str(folder / name), "listen": f"127.0.0.1:{backends.free_port()}"},
                      "collectors": {"otlp": {"grpc": "", "http": f"127.0.0.1:{port}", "span_metrics": {"enabled": False}}, "host": {"enabled": False}},
                      "exporters": {"otlp": [{"endpoint": f"http://127.0.0.1:{out}", "compression": compression}]}}
            (folder / f"{name}.yml").write_text(json.dumps(config))
            result.append((name, [binary, "run", str(folder / f"{name}.yml")], port))
        if otelcol := backends.find("otelcol"):
            name, port = f"otelcol-{pipeline}", backends.free_port()
            config = {"receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
                      "exporters": {"otlphttp": {"endpoint": f"http://127.0.0.1:{out}", "compression": compression}},
                      "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlphttp"]}},
                                  "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}}}}
            (folder / f"{name}.yml").write_text(json.dumps(config))
            result.append((name, [otelcol, "--config", str(folder / f"{name}.yml")], port))
    return result


def measure(args, name, command, port, bodies, backend, folder):
    process = backends.Process(name, command, folder)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not listen: {pathlib.Path(process.log.name).read_text()}") from None
                time.sleep(0.1)
        for rate in args.rates:
            load = Load(port, bodies, rate)
            time.sleep(args.warm)
            (cpu, *_), sent, came = usage(process.pid), load.sent, backend.bytes
            time.sleep(args.window)
            (after, rss, peak), passed, gone = usage(process.pid), load.sent - sent, backend.bytes - came
            load.end()
            print(f"{name:18s} {passed / args.window:9,.0f} spans/s {1e6 * (after - cpu) / max(passed, 1):6.2f} us/span  {rss:6.1f} MB, peak {peak:6.1f}  "
                  f"{gone / max(passed, 1):5.0f} B/span out{f', {load.refused:,} refused' if load.refused else ''}", flush=True)
    finally:
        process.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picket", action="append", default=[], help="a binary; build/release/agent/picket without it")
    parser.add_argument("--rates", type=lambda text: [int(n) for n in text.split(",")], default=[20_000, 50_000])
    parser.add_argument("--warm", type=float, default=5)
    parser.add_argument("--window", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("only", nargs="*", help="agents and pipelines whose name contains one of these")
    args = parser.parse_args()
    rng, backend = random.Random(1), Backend()
    backend.start()
    bodies = [request(rng) for _ in range(8)]
    print(f"{sum(map(len, bodies)) / len(bodies) / SPANS:.0f} B a span", flush=True)
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as name:
            for agent in commands(args, pathlib.Path(name), backend.port):
                if not args.only or any(o in agent[0] for o in args.only):
                    measure(args, *agent, bodies, backend, pathlib.Path(name))


if __name__ == "__main__":
    main()
