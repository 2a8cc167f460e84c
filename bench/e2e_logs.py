#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From files to a Loki endpoint: lines per second and CPU second of the agent's process alone, on one CPU, and its memory.

  bench/e2e_logs.py                                       Picket and vlagent, where it is there, in turns
  bench/e2e_logs.py build/bench/tests/logs/logs_agent     the logs path alone
  bench/e2e_logs.py --rate 10000 ...                      cores at a steady rate instead of the most that goes
  bench/e2e_logs.py --rounds 2 ...                        the turns twice, for the spread

vlagent sends what its own store takes, and raw lines: it reads neither the CRI prefix nor the record.

The endpoint accepts everything on another CPU. The files are 100 CRI files of JSON records, 256 B a line, as in the
log-collectors-benchmark; with --json the agent takes two fields out of every line."""
import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "demo"))
import backends  # noqa: E402

FILES = 100


def record(rng, i):
    return ('{"level":"%s","ts":"2026-03-01T12:%02d:%02d.%06dZ","msg":"request served","trace_id":"%032x","path":"%s","status":%d,'
            '"duration_ms":%d.%03d,"sequence_id":%d}' % (
                rng.choice(("info", "info", "debug", "warn", "error")), i // 60 % 60, i % 60, i * 31 % 1000000, rng.getrandbits(128),
                rng.choice(("/api/v1/cart", "/api/v1/orders", "/healthz", "/api/v1/users/login")), rng.choice((200, 200, 200, 500)),
                rng.randrange(300), rng.randrange(1000), i))


def lines(rng, first, count):
    now = time.time_ns()
    text = []
    for i in range(first, first + count):
        t = now + i
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t // 10**9))
        text.append(f"{stamp}.{t % 10**9:09d}Z stdout F {record(rng, i)}\n")
    return "".join(text)


class Endpoint(threading.Thread):
    """Reads requests and says 204."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.requests = self.bytes = 0
        self.last = time.monotonic()

    def run(self):
        while True:
            client, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        buffer = bytearray(1 << 20)
        view = memoryview(buffer)
        have = 0
        while True:
            n = client.recv_into(view[have:])
            if n == 0:
                return
            have += n
            end = buffer.find(b"\r\n\r\n", 0, have)
            if end < 0:
                continue
            length = int(re.search(rb"(?i)content-length: *(\d+)", bytes(buffer[:end])).group(1))
            left = length - (have - end - 4)
            while left > 0:
                left -= client.recv_into(view[:min(left, len(buffer))])
            have = 0
            self.requests += 1
            self.bytes += length
            self.last = time.monotonic()
            client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {k: int(re.search(rf"{k}:\s+(\d+)", text).group(1)) / 1024 for k in ("VmRSS", "VmHWM")}


def command(binary, root, port, json_fields):
    files = f"{root}/pods/*/*/*.log"
    if pathlib.Path(binary).name == "vlagent":
        return [binary, f"-fileCollector.glob={files}", f"-remoteWrite.url=http://127.0.0.1:{port}/internal/insert", f"-remoteWrite.tmpDataPath={root}/state",
                f"-tmpDataPath={root}/state", f"-httpListenAddr=127.0.0.1:{backends.free_port()}", "-loggerLevel=ERROR"]
    fields = "json: {fields: {level: level, trace_id: trace_id}}" if json_fields else "json: {}"
    if pathlib.Path(binary).name == "logs_agent":
        return [binary, f"{root}/state", f"files: ['{files}']\nformat: cri\nstart_at: beginning\n{fields}\n",
                f"url: http://127.0.0.1:{port}/loki/api/v1/push\n"]
    config = root / "picket.yaml"
    config.write_text(f"node: {{data_dir: {root}/state, listen: '127.0.0.1:0'}}\n"
                      f"collectors:\n  logs: [{{files: ['{files}'], format: cri, start_at: beginning, {fields}}}]\n"
                      f"exporters:\n  loki: [{{url: 'http://127.0.0.1:{port}/loki/api/v1/push'}}]\n")
    return [binary, "run", str(config)]


def measure(arguments, binary):
    root = pathlib.Path(tempfile.mkdtemp(prefix="picket_e2e_", dir=os.environ.get("TMPDIR", "/tmp")))
    agent = None
    try:
        rng = random.Random(1)
        paths = []
        for f in range(FILES):
            folder = root / f"pods/shop_web-{f}_0f1e{f:04d}/app"
            folder.mkdir(parents=True)
            paths.append(folder / "0.log")
        if arguments.rate == 0:
            text = lines(rng, 0, 10_000)
            for path in paths:
                with open(path, "w") as out:
                    for _ in range(max(1, arguments.lines // FILES // 10_000)):
                        out.write(text)
        total = sum(p.stat().st_size for p in paths if p.exists())
        endpoint = Endpoint()
        others = set(os.sched_getaffinity(0)) - {arguments.cpu}
        os.sched_setaffinity(0, others or {arguments.cpu})
        endpoint.start()
        begin = time.monotonic()
        agent = subprocess.Popen(["taskset", "-c", str(arguments.cpu)] + command(binary, root, endpoint.port, arguments.json),
                                 stdout=subprocess.PIPE, text=True)
        written = 0
        if arguments.rate:
            time.sleep(1)
            cpu0, t0 = cpu_seconds(agent.pid), time.monotonic()
            while time.monotonic() - t0 < arguments.seconds:
                share = arguments.rate // 10 // FILES
                for path in paths:
                    with open(path, "a") as out:
                        out.write(lines(rng, written, share))
                    written += share
                time.sleep(max(0, t0 + written / arguments.rate - time.monotonic()))
            seconds = time.monotonic() - t0
            cpu = cpu_seconds(agent.pid) - cpu0
            print(f"{written / seconds:,.0f} lines/s: {cpu / seconds:.4f} cores, RSS {memory(agent.pid)['VmRSS']:.1f} MB")
        else:
            count = max(1, arguments.lines // FILES // 10_000) * 10_000 * FILES
            while endpoint.requests == 0 or time.monotonic() - endpoint.last < 2.5:
                assert agent.poll() is None, "the agent ended"
                time.sleep(0.05)
            seconds = endpoint.last - begin
            cpu = cpu_seconds(agent.pid)
            m = memory(agent.pid)
            print(f"{count:,} lines of {total / count:.0f} B: {count / seconds:,.0f} lines/s, {count / cpu:,.0f} lines per CPU second, "
                  f"{endpoint.requests} requests, {endpoint.bytes / total:.3f} out/in, RSS peak {m['VmHWM']:.1f} MB")
        agent.send_signal(signal.SIGTERM)
        out, _ = agent.communicate(timeout=60)
        for line in out.splitlines():
            if line.startswith("loki"):
                print(line)
    finally:
        if agent and agent.poll() is None:
            agent.kill()
            agent.wait()
        shutil.rmtree(root, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="*")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--lines", type=int, default=3_000_000)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cpu", type=int, default=0)
    arguments = parser.parse_args()
    everything = set(os.sched_getaffinity(0))
    vlagent = backends.find("vlagent")
    binaries = arguments.binaries or [str(ROOT / "build/release/agent/picket")] + ([vlagent] if vlagent else [])
    for _ in range(arguments.rounds):
        for binary in binaries:
            os.sched_setaffinity(0, everything)
            print(f"{pathlib.Path(binary).name}: ", end="", flush=True)
            measure(arguments, binary)


if __name__ == "__main__":
    sys.exit(main())
