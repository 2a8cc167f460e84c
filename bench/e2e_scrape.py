#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scrape to remote write, agents in turns on the same load: 100 targets x 1,000 series every 10 s (55 % constant, 25 % integer counters,
10 % float counters, 10 % gauges), identity bodies, a receiver that only counts bytes. CPU is user plus system time of the agent's process
from /proc over a window after warm-up; RSS at its end, and how much of it is memory of its own (the rest is pages of files: its binary
and mapped data).

  bench/e2e_scrape.py                                   all that are there, in turns
  bench/e2e_scrape.py --picket OLD --picket NEW v2      two builds beside each other
  bench/e2e_scrape.py --rounds 2 vmagent v2             the turns twice, for the spread"""
import argparse
import http.server
import json
import os
import pathlib
import random
import socketserver
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "demo"))
import backends  # noqa: E402


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512


def targets(series):
    """A server whose every path is a target; bodies change as the mix says."""
    chance = random.Random(1)
    names = [f'shop_requests_{i // 50}_total{{path="/cart/{i % 50}",method="GET",status="200",zone="eu-west-{i % 3}"}}' for i in range(series)]
    state = {"ints": 0}

    class Handler(Quiet):
        def do_GET(self):
            state["ints"] += 1
            n = state["ints"]
            lines = []
            for i, name in enumerate(names):
                kind = i % 20
                value = i if kind < 11 else n * (i % 7 + 1) + i if kind < 16 else f"{n * 1.37 + i:.3f}" if kind < 18 else f"{chance.random() * 100:.2f}"
                lines.append(f"{name} {value}\n")
            body = "".join(lines).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


class Receiver(Quiet):
    bytes = 0

    def do_POST(self):
        Receiver.bytes += len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.send_header("X-Prometheus-Remote-Write-Samples-Written", "1000")
        self.end_headers()


def serve(handler):
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def usage(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), *(int(status.split(k)[1].split()[0]) / 1024 for k in ("VmRSS:", "RssAnon:"))


def scrape_config(args, port):
    return {"global": {"scrape_interval": args.interval, "scrape_timeout": min("5s", args.interval, key=lambda t: float(t.rstrip("s")))}, "scrape_configs": [{"job_name": "load", "static_configs": [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": f"/t{i}", "target": str(i)}} for i in range(args.targets)]}]}


def commands(args, folder, port, write):
    """name -> command"""
    (folder / "scrape.yml").write_text(json.dumps(scrape_config(args, port)))
    out = {}
    for i, binary in enumerate(args.picket or [str(ROOT / "build/release/agent/picket")]):
        for version in ("v1", "v2"):
            message = "prometheus.WriteRequest" if version == "v1" else "io.prometheus.write.v2.Request"
            name = f"picket {version}" + (f" {i + 1}" if len(args.picket) > 1 else "")
            config = {"node": {"data_dir": str(folder / name.replace(" ", "-")), "listen": f"127.0.0.1:{backends.free_port()}"},
                      "collectors": {"scrape": scrape_config(args, port), "host": {"enabled": False}},
                      "exporters": {"remote_write": [{"url": write, "protobuf_message": message}]}}
            (folder / f"{name.replace(' ', '-')}.yml").write_text(json.dumps(config))
            out[name] = [binary, "run", str(folder / f"{name.replace(' ', '-')}.yml")]
    if vmagent := backends.find("vmagent"):
        out["vmagent"] = [vmagent, f"-promscrape.config={folder}/scrape.yml", f"-remoteWrite.url={write}", "-remoteWrite.forcePromProto",
                          f"-remoteWrite.tmpDataPath={folder}/vm", f"-httpListenAddr=127.0.0.1:{backends.free_port()}", "-loggerLevel=WARN"]
    if prometheus := backends.find("prometheus"):
        config = dict(scrape_config(args, port), remote_write=[{"url": write}])
        (folder / "prom.yml").write_text(json.dumps(config))
        out["prometheus agent"] = [prometheus, "--agent", f"--config.file={folder}/prom.yml", f"--storage.agent.path={folder}/prom",
                                   f"--web.listen-address=127.0.0.1:{backends.free_port()}"]
    return out


def measure(args, agent, command, folder):
    process = backends.Process(agent.replace(" ", "-"), command, folder)
    try:
        time.sleep(args.warm)
        if process.child.poll() is not None:
            raise RuntimeError(f"{agent} ended: {pathlib.Path(process.log.name).read_text()[-2000:]}")
        cpu, *_ = usage(process.pid)
        before = Receiver.bytes
        time.sleep(args.window)
        after, rss, own = usage(process.pid)
        samples = args.targets * args.series * args.window / float(args.interval.rstrip("s"))
        print(f"{agent:18s} {1e6 * (after - cpu) / samples:6.2f} us/sample  {rss:6.1f} MB ({own:.1f} own)  "
              f"{(Receiver.bytes - before) / samples:5.1f} B/sample", flush=True)
    finally:
        process.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picket", action="append", default=[], help="a binary; build/release/agent/picket without it")
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--interval", default="10s")
    parser.add_argument("--warm", type=float, default=25)
    parser.add_argument("--window", type=float, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("only", nargs="*", help="agents whose name contains one of these")
    args = parser.parse_args()
    port, write = serve(targets(args.series)), f"http://127.0.0.1:{serve(Receiver)}/api/v1/write"
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for agent, command in commands(args, folder, port, write).items():
                if not args.only or any(o in agent for o in args.only):
                    measure(args, agent, command, folder)


if __name__ == "__main__":
    main()
