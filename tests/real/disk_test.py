#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that fills up, and a queue whose end was torn.

Full disk: the data directory is on a small file system of its own. While the backends are away the disk fills: Picket stays alive,
says so, counts what it must drop by reason, still delivers logs, and goes on by itself when there is room again; what it says it
kept is delivered. Torn tail: after kill -9 the last bytes of a queue are cut off or garbled; the next start cuts back to the last
good record, counts it, and delivers all the rest.

The small file system is a tmpfs, mounted as root or in a user namespace of the test's own; where neither may be had, a limit on
the size of files stands in for it (RLIMIT_FSIZE), which the closing line says."""
import os
import re
import resource
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

import agent_story
from agent_story import backends
from fault_test import Backend, Target, lines, samples, spans, wait
from kill_test import delimited

DISK = 24 << 20


class SmallDisk:
    """A folder with little room; fill() takes what is left of it."""

    def __init__(self, path):
        self.path, self.how = path, "a tmpfs"
        path.mkdir()
        if os.environ.get("PICKET_DISK") == "limit" or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(path)], capture_output=True).returncode != 0:
            self.how = "a limit on the size of files, for nothing may be mounted here"

    def close(self):
        if self.how == "a tmpfs":
            subprocess.run(["umount", "-l", str(self.path)], capture_output=True)

    def fill(self, picket):
        if self.how != "a tmpfs":
            resource.prlimit(picket.process.pid, resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            return
        with open(self.path / "ballast", "ab", buffering=0) as f:
            for step in (1 << 20, 4096):
                try:
                    while True:
                        f.write(bytes(step))
                except OSError:
                    pass

    def free(self, picket):
        if self.how != "a tmpfs":
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.prlimit(picket.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
            return
        (self.path / "ballast").unlink()


class Pusher:
    """Pushes spans; remembers which were acknowledged."""

    def __init__(self, port):
        self.url, self.acknowledged, self.refused = f"http://127.0.0.1:{port}/v1/traces", [], 0

    def push(self, count=1, ballast=0):
        ids = [os.urandom(8) for _ in range(count)]
        now = struct.pack("<Q", time.time_ns())
        extra = delimited(9, delimited(1, b"ballast") + delimited(2, delimited(7, os.urandom(ballast)))) if ballast else b""
        body = b"".join(delimited(2, delimited(1, os.urandom(16)) + delimited(2, i) + delimited(5, b"span") + b"\x39" + now + b"\x41" + now + extra)
                        for i in ids)
        request = urllib.request.Request(self.url, delimited(1, delimited(2, body)), {"Content-Type": "application/x-protobuf"})
        try:
            with urllib.request.urlopen(request, timeout=10):
                self.acknowledged += ids
                return True
        except urllib.error.HTTPError as e:
            assert e.code in (429, 503), e.code  # come back later
            self.refused += 1
            return False


def queue(picket, component):
    return next((q for q in picket.status()["queues"] if q["component"] == component), None)


def check_balances(picket):
    for q in picket.status()["queues"]:
        assert q["queued"] >= 0 and q["in"] == q["out"] + q["queued"] + q["dropped"], q
        assert q["dropped"] == sum(q["dropped_by_reason"].values()), q


def metric(picket, name, queue_name):
    text = backends.get(picket.url("/metrics"), 10).decode()
    found = re.search(rf'^{name}{{queue="{queue_name}"}} (\S+)$', text, re.M)
    return float(found.group(1)) if found else None


def full_disk(folder):
    disk = SmallDisk(folder / "disk")
    store, loki, tempo = Backend(samples, 204), Backend(lines, 204), Backend(spans, 200)
    target, otlp = Target([f'm{i}{{pod="{os.urandom(24).hex()}"}}' for i in range(3000)]), backends.free_port()
    log = folder / "app.log"
    picket = agent_story.Picket(folder, {
        "node": {"data_dir": str(disk.path / "data")}, "limits": {"disk": "40MiB", "store": "16MiB"},
        "collectors": {"scrape": {"scrape_configs": [{"job_name": "t", "scrape_interval": "200ms", "scrape_timeout": "200ms",
                                                      "static_configs": [{"targets": [f"127.0.0.1:{target.port}"]}]}]},
                       "logs": [{"files": [str(log)], "format": "plain", "start_at": "beginning"}],
                       "otlp": {"http": f"127.0.0.1:{otlp}", "grpc": "", "span_metrics": {"enabled": False}}},
        "exporters": {"remote_write": [{"name": "p", "url": f"http://127.0.0.1:{store.port}/api/v1/write"}],
                      "loki": [{"url": f"http://127.0.0.1:{loki.port}", "batch_wait": "100ms"}],
                      "otlp": [{"name": "t", "endpoint": f"http://127.0.0.1:{tempo.port}", "retry": {"max_backoff": "2s"}}]}})
    written = 0

    def write(n):
        nonlocal written
        with open(log, "a", buffering=1) as f:
            for _ in range(n):
                f.write(f"line {written}\n")
                written += 1

    pusher = Pusher(otlp)
    try:
        picket.start()
        write(100)
        wait("the first lines and samples", lambda: len(loki.accepted) == 100 and len(store.accepted) > 3000)
        pusher.push(10)
        wait("the first spans", lambda: len(tempo.accepted) == 10)
        for backend in (store, tempo):
            backend.down()
        disk.fill(picket)
        # Until both queues have met the wall and had to let go of something.
        deadline = time.monotonic() + 60
        while not all((queue(picket, c) or {"dropped_by_reason": {}})["dropped_by_reason"].get("disk_full") for c in ("remote_write", "exporters.otlp")):
            assert time.monotonic() < deadline, f"the disk was not full: {picket.status()['queues']}"
            for _ in range(20):
                pusher.push(1, 60_000)
            write(20)
            check_balances(picket)
        assert picket.process.child.poll() is None
        if disk.how == "a tmpfs":  # a limit on files holds for the log too
            assert "No space left" in picket.log(), "the log does not say that the disk is full"
        notices = [n for n in picket.status()["notices"] if "cannot be written" in n]
        assert notices, f"the page does not say so: {picket.status()['notices']}"
        assert metric(picket, "picket_spool_write_errors_total", "otlp") > 0
        assert metric(picket, "picket_spool_memory_bytes", "otlp") > 0, "nothing waits in memory for room"
        wait("lines that were written while the disk was full", lambda: len({l for _, _, l in list(loki.accepted)}) == written)
        reload = urllib.request.urlopen(urllib.request.Request(picket.url("/-/reload"), b"", method="POST"), timeout=20)
        assert reload.status == 200, "a reload while the disk is full"
        assert picket.get("/api/v1/query", query="count(up)")["status"] == "success"

        disk.free(picket)
        for backend in (store, tempo):
            backend.up()
        before = len(pusher.acknowledged)
        for _ in range(20):
            assert pusher.push(5), "refused although there is room again"
        fresh = set(pusher.acknowledged[before:])
        wait("what came after there was room", lambda: fresh <= {i for _, _, i in list(tempo.accepted)})
        wait(lambda: f"all that waited: {queue(picket, 'exporters.otlp')}", lambda: queue(picket, "exporters.otlp")["queued"] == 0)
        check_balances(picket)
        q = queue(picket, "exporters.otlp")
        taken = {i for _, _, i in tempo.accepted}
        missing = set(pusher.acknowledged) - taken
        assert set(q["dropped_by_reason"]) == {"disk_full"} and len(missing) == q["dropped"], (len(missing), q)
        assert q["in"] == len(pusher.acknowledged) and q["out"] == len(taken), (q, len(taken))
        wait("the page no longer says that the disk is full", lambda: not [n for n in picket.status()["notices"] if "cannot be written" in n])
        samples_queue = queue(picket, "remote_write")
        assert set(samples_queue["dropped_by_reason"]) == {"disk_full"}, samples_queue

        # On disk again: what is acknowledged now survives.
        tempo.down()
        before = len(pusher.acknowledged)
        for _ in range(20):
            assert pusher.push(5)
        late = set(pusher.acknowledged[before:])
        picket.process.kill()
        tempo.up()
        picket.start()
        wait("what was acknowledged before kill -9", lambda: late <= {i for _, _, i in list(tempo.accepted)})
        wait("every line", lambda: {l for _, _, l in list(loki.accepted)} == {f"line {n}".encode() for n in range(written)})
        check_balances(picket)
    except BaseException:
        print(picket.log()[-3000:])
        raise
    finally:
        if picket.process:
            picket.process.kill()
        disk.close()
    return (f"full disk ({disk.how}): alive, {q['dropped']} of {q['in']} spans and {samples_queue['dropped']} samples counted as disk_full, "
            f"all else delivered, {pusher.refused} pushes told to come back")


def torn_tail(folder, damage):
    tempo, otlp = Backend(spans, 200), backends.free_port()
    picket = agent_story.Picket(folder, {
        "collectors": {"otlp": {"http": f"127.0.0.1:{otlp}", "grpc": "", "span_metrics": {"enabled": False}}},
        "exporters": {"otlp": [{"name": "t", "endpoint": f"http://127.0.0.1:{tempo.port}", "retry": {"max_backoff": "2s"}}]}})
    pusher = Pusher(otlp)
    tempo.down()
    try:
        picket.start()
        for _ in range(30):
            assert pusher.push(7)
        picket.process.kill()
        segment = sorted((folder / "data/spool/otlp").glob("*.seg"))[-1]
        data = bytearray(segment.read_bytes())
        last = data.rfind(b"PKR1")
        size = struct.unpack_from("<I", data, last + 12)[0]
        end = last + 48 + size
        if damage == "cut":
            with open(segment, "r+b") as f:
                f.truncate(end - size // 2)
        else:
            data[end - 20:end] = bytes(b ^ 0x55 for b in data[end - 20:end])
            segment.write_bytes(data)
        tempo.up()
        picket.start()
        assert "cut back to its last good record" in picket.log(), "the log does not say that the tail was torn"
        assert metric(picket, "picket_spool_truncated_tails_total", "otlp") == 1
        rest, lost = set(pusher.acknowledged[:-7]), set(pusher.acknowledged[-7:])
        wait("all but the torn record", lambda: {i for _, _, i in list(tempo.accepted)} >= rest)
        q = queue(picket, "exporters.otlp")
        assert q["dropped_by_reason"] == {"corrupt": 7} and q["in"] == len(pusher.acknowledged), q
        assert not lost & {i for _, _, i in tempo.accepted}, "a damaged record was sent"
        assert pusher.push(7), "the queue does not go on behind the cut"
        wait("what came after", lambda: set(pusher.acknowledged[-7:]) <= {i for _, _, i in list(tempo.accepted)})
        wait("an empty queue", lambda: queue(picket, "exporters.otlp")["queued"] == 0)
        check_balances(picket)
    except BaseException:
        print(picket.log()[-3000:])
        raise
    finally:
        picket.process.kill()


def in_own_namespace():
    """Where root is not to be had, a user namespace may still mount a tmpfs."""
    if os.geteuid() == 0 or os.environ.get("PICKET_IN_NAMESPACE") or os.environ.get("PICKET_DISK") == "limit":
        return
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    if probe.returncode == 0:
        os.environ["PICKET_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])


def main():
    in_own_namespace()
    with agent_story.folder() as folder:
        report = full_disk(folder)
    for damage in ("cut", "garbled"):
        with agent_story.folder() as folder:
            torn_tail(folder, damage)
    print(f"{report}; a torn tail, cut and garbled: 7 of 210 spans counted as corrupt, the rest delivered")


if __name__ == "__main__":
    main()
