#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every signal goes to two backends. One is healthy; the other answers 500, 429, 413 and 400 in turns, is slow, stalls, resets
connections and is down for more than a minute. The healthy one must have everything of a phase before the phase ends. When all is
well again, what was produced is compared item by item with what each backend took: nothing is missing but what a 400, or a 413 for
a single item, refused, and the agent has counted just that, by reason. Its balances hold at every look."""
import collections
import http.server
import json
import os
import random
import re
import socket
import struct
import threading
import time
import urllib.request

import agent_story
from agent_story import backends
from kill_test import delimited, fields, unsnappy

SHORT = float(os.environ.get("PICKET_FAULT_SECONDS", "5"))  # of a phase
DOWN = float(os.environ.get("PICKET_DOWN_SECONDS", "70"))   # long against every back-off of the configuration below
SERIES = 600
RETRY_AFTER = 2


def samples(body):
    """(series, time, bits of the value) of a remote write v1 body."""
    out = []
    for number, series in fields(unsnappy(body)):
        if number != 1:
            continue
        labels, points = [], []
        for n, value in fields(series):
            if n == 1:
                pair = dict(fields(value))
                labels.append(pair[1] + b"=" + pair.get(2, b""))
            elif n == 2:
                point = dict(fields(value))
                points.append((point[2], point.get(1, bytes(8))))
        name = b",".join(labels).decode()
        out += [(name, t, v) for t, v in points]
    return out


def lines(body):
    out = []
    for _, stream in fields(unsnappy(body)):
        labels = ""
        for number, value in fields(stream):
            if number == 1:
                labels = value.decode()
            elif number == 2:
                entry = dict(fields(value))
                stamp = dict(fields(entry[1]))
                out.append((labels, stamp.get(1, 0) * 10**9 + stamp.get(2, 0), entry[2]))
    return out


def spans(body):
    out = []
    for _, resource in fields(body):
        for number, scope in fields(resource):
            if number == 2:
                for n, span in fields(scope):
                    if n == 2:
                        entry = dict(fields(span))
                        out.append((entry[5].decode(), 0, entry[2]))
    return out


def marked(item):
    """What a 413 never takes, however small the request."""
    return "huge" in item[0] or (isinstance(item[2], bytes) and b"huge" in item[2])


class Backend:
    """Takes what is pushed to it, in the mood the story gives it, and keeps a ledger of every item it took or refused."""

    def __init__(self, decode, ok):
        self.decode, self.ok = decode, ok
        self.mood, self.lock, self.random = "ok", threading.Lock(), random.Random(5)
        self.accepted, self.refused = collections.Counter(), {"400": set(), "413": set()}
        self.newest, self.disorder, self.answers = {}, [], collections.Counter()
        self.closed_until, self.early = 0.0, 0
        self.open, self.server, self.port = set(), None, backends.free_port()
        self.up()

    def up(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                outer.open.add(self.connection)

            def finish(self):
                outer.open.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    pass

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    outer.answer(self, outer.decode(body))
                except OSError:
                    self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.open):
            self.reset(connection)

    @staticmethod
    def reset(connection):
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def take(self, items):
        with self.lock:
            for item in items:
                if item not in self.accepted:
                    if self.newest.get(item[0], 0) > item[1]:
                        self.disorder.append(item)
                    self.newest[item[0]] = max(self.newest.get(item[0], 0), item[1])
                self.accepted[item] += 1

    def refuse(self, items, why):
        with self.lock:
            self.refused[why].update(items)

    def answer(self, handler, items):
        mood, now = self.mood, time.monotonic()
        if self.closed_until - RETRY_AFTER + 0.5 < now < self.closed_until - 0.1:
            self.early += 1
        if mood == "torn" and self.random.random() < 0.6:
            if self.random.random() < 0.5:
                self.take(items)  # and the answer is lost: it comes again
            handler.close_connection = True
            return self.reset(handler.connection)
        if mood == "stall":
            time.sleep(3)  # past every timeout of the configuration
            handler.close_connection = True
            return None
        if mood == "slow":
            time.sleep(0.7)
        status, headers = self.ok, {}
        if mood == "fail":
            status = 503 if self.decode is spans else 500  # OTLP: a 500 is not to be sent again
        elif mood == "429":
            status, headers = 429, {"Retry-After": str(RETRY_AFTER)}
            self.closed_until = max(self.closed_until, now + RETRY_AFTER)
        elif mood == "413" and (len(items) > 40 or any(map(marked, items))):
            status = 413
            if len(items) == 1:
                self.refuse(items, "413")
        elif mood == "400":
            status = 400
            self.refuse(items, "400")
        if status == self.ok:
            self.take(items)
        self.answers[status] += 1
        handler.send_response(status)
        text = b"" if status == self.ok else b"as the story wants\n"
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)
        return None

    def has(self, items):
        with self.lock:
            return all(i in self.accepted for i in items)


class Target(http.server.ThreadingHTTPServer):
    """Each series tells how often the target was scraped."""

    def __init__(self, names):
        self.scrapes = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.scrapes += 1
                body = "".join(f"{name} {outer.scrapes}\n" for name in names).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # an agent was killed


class Load(threading.Thread):
    """Writes CRI log lines and pushes spans; remembers what it wrote and what was acknowledged."""

    def __init__(self, path, otlp):
        super().__init__(daemon=True)
        self.file, self.otlp = open(path, "a", buffering=1), otlp
        self.running, self.resting = True, False
        self.written, self.acknowledged, self.refused = [], [], 0

    def run(self):
        turn = 0
        while self.running:
            time.sleep(0.05)
            if self.resting:
                continue
            turn += 1
            for i in range(6):
                stamp = time.time_ns()
                text = f"line {len(self.written)}" + (" huge" if turn % 10 == 0 and i == 3 else "")
                second, nano = divmod(stamp, 10**9)
                self.file.write(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)) + f".{nano:09d}Z stdout F {text}\n")
                self.written.append(text.encode())
            ids = [os.urandom(8) for _ in range(5)]
            now = struct.pack("<Q", time.time_ns())
            body = b"".join(delimited(2, delimited(1, os.urandom(16)) + delimited(2, i) + delimited(5, b"huge" if n == 2 and turn % 10 == 0 else b"load")
                                      + b"\x39" + now + b"\x41" + now) for n, i in enumerate(ids))
            request = urllib.request.Request(f"http://127.0.0.1:{self.otlp}/v1/traces", delimited(1, delimited(2, body)),
                                             {"Content-Type": "application/x-protobuf"})
            try:
                with urllib.request.urlopen(request, timeout=10) as reply:
                    assert reply.status == 200
                self.acknowledged += ids
            except OSError:
                self.refused += 1


def wait(what, condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what() if callable(what) else what}"
        time.sleep(0.2)


class Story:
    def __init__(self, folder):
        self.folder, self.otlp = folder, backends.free_port()
        self.good = {"samples": Backend(samples, 204), "lines": Backend(lines, 204), "spans": Backend(spans, 200)}
        self.bad = {"samples": Backend(samples, 204), "lines": Backend(lines, 204), "spans": Backend(spans, 200)}
        # Large scrapes go straight into the queue; small ones are gathered first.
        self.targets = [Target([f'm{i}{{a="b"}}' for i in range(SERIES)] + ["m_huge"]), Target([f"n{i}" for i in range(20)])]
        self.scraping = True
        self.picket = agent_story.Picket(folder, self.config())
        self.load = Load(folder / "pod.log", self.otlp)
        self.looks = 0

    def config(self):
        jobs = [{"job_name": f"j{i}", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [{"targets": [f"127.0.0.1:{t.port}"]}]}
                for i, t in enumerate(self.targets)] if self.scraping else []
        url = {kind: {side: f"http://127.0.0.1:{group[kind].port}" for side, group in (("good", self.good), ("bad", self.bad))} for kind in self.good}
        write = {"remote_timeout": "2s", "queue_config": {"retry_on_http_429": True, "batch_send_deadline": "1s"}}
        loki = {"timeout": "2s", "batch_wait": "200ms", "max_backoff": "5s"}
        otlp = {"timeout": "2s", "retry": {"max_backoff": "5s"}}
        return {"collectors": {"scrape": {"scrape_configs": jobs},
                               "logs": [{"files": [str(self.folder / "pod.log")], "format": "cri", "start_at": "beginning"}],
                               "otlp": {"http": f"127.0.0.1:{self.otlp}", "grpc": "", "span_metrics": {"enabled": False}}},
                "exporters": {"remote_write": [{"name": s, "url": url["samples"][s] + "/api/v1/write", **write} for s in ("bad", "good")],
                              "loki": [{"url": url["lines"][s], **loki} for s in ("bad", "good")],
                              "otlp": [{"name": s, "endpoint": url["spans"][s], **otlp} for s in ("bad", "good")]}}

    # What the agent says.

    def balances(self):
        """side -> kind -> balance"""
        out = {"good": {}, "bad": {}}
        for q in self.picket.status()["queues"]:
            kind = {"remote_write": "samples", "loki": "lines", "exporters.otlp": "spans"}.get(q["component"])
            if kind == "lines":
                out["good" if f":{self.good['lines'].port}" in q["instance"] else "bad"][kind] = q
            elif kind:
                out[q["instance"]][kind] = q
        return out

    def look(self):
        """Every balance, at any moment."""
        self.looks += 1
        for q in self.picket.status()["queues"]:
            assert q["queued"] >= 0 and q["in"] == q["out"] + q["queued"] + q["dropped"], q
            assert q["dropped"] == sum(q["dropped_by_reason"].values()), q
        for kind, q in self.balances()["good"].items():
            assert q["dropped"] == 0, (kind, q)

    def check_queues_at_rest(self):
        """While nothing comes in and nothing goes out, the queues hold what the balances say: counted in two places."""
        def metric(destination):
            text = backends.get(self.picket.url("/metrics"), 10).decode()
            return float(re.search(rf'^picket_queue_items{{destination="{destination}"}} (\S+)$', text, re.M).group(1))

        for kind, destination in (("samples", "bad"), ("spans", "otlp bad")):
            assert self.balances()["bad"][kind]["queued"] > 0, "nothing waits for a backend that is down"
            wait(lambda: f"{kind}: {metric(destination)} in the queue, {self.balances()['bad'][kind]}",
                 lambda: metric(destination) == self.balances()["bad"][kind]["queued"], 20)

    # What happens.

    def phase(self, mood, seconds=SHORT):
        marks = {"samples": [t.scrapes for t in self.targets], "lines": len(self.load.written), "spans": len(self.load.acknowledged)}
        if mood == "down":
            for b in self.bad.values():
                b.down()
        for b in self.bad.values():
            b.mood = mood
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(1)
        self.healthy_has(marks, mood)
        if mood == "down":
            self.rest(True)
            self.check_queues_at_rest()
            self.rest(False)
            for b in self.bad.values():
                b.up()
        for b in self.bad.values():
            b.mood = "ok"

    def rest(self, resting):
        self.load.resting = resting
        self.scraping = not resting
        self.picket.configure(self.config())
        reply = urllib.request.urlopen(urllib.request.Request(self.picket.url("/-/reload"), b"", method="POST"), timeout=20)
        assert reply.status == 200

    def healthy_has(self, marks, mood):
        """The healthy ones have what this phase brought, while the others are still unwell."""
        written, acknowledged = self.load.written[marks["lines"]:], self.load.acknowledged[marks["spans"]:]
        assert len(written) > 20 and len(acknowledged) > 20, f"the load did not go on while the backends were in mood {mood}"
        wait(f"lines of {mood} at the healthy Loki", lambda: {l for _, _, l in self.taken("lines", "good")} >= set(written), 20)
        wait(f"spans of {mood} at the healthy one", lambda: {s for _, _, s in self.taken("spans", "good")} >= set(acknowledged), 20)
        for i, target in enumerate(self.targets):
            name, n = f"__name__={'m0' if i == 0 else 'n0'},", target.scrapes - 1
            assert n > marks["samples"][i], f"scrapes did not go on while the backends were in mood {mood}"
            wait(f"samples of {mood} at the healthy Prometheus",
                 lambda: any(s.startswith(name) and v == struct.pack("<d", n) for s, _, v in self.taken("samples", "good")), 20)

    def taken(self, kind, side):
        backend = (self.good if side == "good" else self.bad)[kind]
        with backend.lock:
            return list(backend.accepted)

    def drained(self):
        return all(q["queued"] == 0 for side in self.balances().values() for q in side.values()) and not self.unread()

    def unread(self):
        return [f for f in self.picket.status()["logs"] if f["lag_bytes"]]

    def settle(self):
        wait(lambda: f"the queues are empty: {json.dumps(self.balances())} {self.unread()}", self.drained, 90)
        self.look()

    # What came of it.

    def compare(self):
        report = []
        for side, group in (("good", self.good), ("bad", self.bad)):
            for kind, b in group.items():
                q, taken = self.balances()[side][kind], set(b.accepted)
                self.check_produced(kind, side, b)
                assert not b.disorder, f"{side} {kind} out of order: {b.disorder[:3]}"
                refused = {"rejected": b.refused["400"] - taken, "too_large": b.refused["413"] - taken - b.refused["400"]}
                expected = {reason: len(items) for reason, items in refused.items() if items}
                assert q["dropped_by_reason"] == expected, (side, kind, q, expected)
                assert q["out"] == len(taken), (side, kind, q, len(taken))
                assert q["in"] == q["out"] + q["dropped"] and q["queued"] == 0, (side, kind, q)
                if side == "bad":
                    assert set(expected) == {"rejected", "too_large"}, (kind, expected)
                    assert b.early == 0, f"{kind}: {b.early} requests before Retry-After was over"
                    report.append(f"{len(taken)} {kind} ({sum(b.accepted.values()) - len(taken)} twice; refused {expected})")
        return report

    def check_produced(self, kind, side, b):
        known = set(b.accepted) | b.refused["400"] | b.refused["413"]
        if kind == "samples":
            seen = collections.defaultdict(set)
            for series, _, value in known:
                seen[re.match(r"__name__=([^,]*)", series).group(1)].add(struct.unpack("<d", value)[0])
            for i, target in enumerate(self.targets):
                for name in [f"m{n}" for n in range(SERIES)] + ["m_huge"] if i == 0 else [f"n{n}" for n in range(20)]:
                    missing = set(range(1, target.scrapes + 1)) - seen[name]
                    assert not missing, f"{side}: {name} lost the scrapes {sorted(missing)[:5]}"
            return
        produced = set(self.load.written if kind == "lines" else self.load.acknowledged)
        got = {item[2] for item in known}
        assert produced == got, f"{side}: {len(produced - got)} {kind} lost, {len(got - produced)} unknown, e.g. {list(produced - got)[:3]}"

    def run(self):
        self.picket.start()
        self.load.start()
        try:
            self.phase("ok", 3)
            for mood in ("fail", "429"):
                self.phase(mood)
            self.settle_bad()
            for mood in ("413", "400"):  # after each of them a clean table: their counts are compared
                self.phase(mood)
                self.settle_bad()
            for mood in ("slow", "stall", "torn"):
                self.phase(mood)
            self.phase("down", DOWN)
            self.phase("ok", 3)
            self.load.running = False
            self.load.join()
            self.rest(True)
            self.settle()
            report = self.compare()
        except BaseException:
            print(self.picket.log()[-3000:])
            raise
        finally:
            self.picket.process.kill()
        assert self.load.refused == 0, f"{self.load.refused} pushes were refused"
        print(f"{self.looks} looks at the balances, backends down for {DOWN:.0f} s; the unwell ones took {', '.join(report)}; "
              "all the rest arrived, the healthy ones had all of every phase in time")

    def settle_bad(self):
        """What waited goes out before the next mood, so that its counts are its own."""
        wait(lambda: f"what waited is out: {json.dumps(self.balances()['bad'])}",
             lambda: all(q["queued"] < 2000 for q in self.balances()["bad"].values()), 60)


def main():
    with agent_story.folder() as folder:
        Story(folder).run()


if __name__ == "__main__":
    main()
