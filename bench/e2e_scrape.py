#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scrape to remote write, agents in turns on the same load: 100 targets x 1,000 series every 10 s (55 % constant, 25 % integer counters,
10 % float counters, 10 % gauges), identity bodies, a receiver that only counts bytes. CPU is user plus system time of the agent's process
from /proc over a window after warm-up; RSS at its end."""
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
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(status.split("VmRSS:")[1].split()[0]) / 1024


def scrape_config(args, port):
    return {"global": {"scrape_interval": args.interval, "scrape_timeout": "5s"}, "scrape_configs": [{"job_name": "load", "static_configs": [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": f"/t{i}", "target": str(i)}} for i in range(args.targets)]}]}


def commands(args, folder, port, write):
    """name -> command"""
    (folder / "scrape.yml").write_text(json.dumps(scrape_config(args, port)))
    out = {}
    for version in ("v1", "v2"):
        message = "prometheus.WriteRequest" if version == "v1" else "io.prometheus.write.v2.Request"
        config = {"node": {"data_dir": str(folder / f"picket-{version}"), "listen": f"127.0.0.1:{backends.free_port()}"},
                  "collectors": {"scrape": scrape_config(args, port), "host": {"enabled": False}},
                  "exporters": {"remote_write": [{"url": write, "protobuf_message": message}]}}
        (folder / f"picket-{version}.yml").write_text(json.dumps(config))
        out[f"picket {version}"] = [args.picket, "run", str(folder / f"picket-{version}.yml")]
    if vmagent := backends.find("vmagent"):
        out["vmagent"] = [vmagent, f"-promscrape.config={folder}/scrape.yml", f"-remoteWrite.url={write}", "-remoteWrite.forcePromProto",
                          f"-remoteWrite.tmpDataPath={folder}/vm", f"-httpListenAddr=127.0.0.1:{backends.free_port()}", "-loggerLevel=WARN"]
    if prometheus := backends.find("prometheus"):
        config = dict(scrape_config(args, port), remote_write=[{"url": write}])
        (folder / "prom.yml").write_text(json.dumps(config))
        out["prometheus agent"] = [prometheus, "--agent", f"--config.file={folder}/prom.yml", f"--storage.agent.path={folder}/prom",
                                   f"--web.listen-address=127.0.0.1:{backends.free_port()}"]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picket", default=str(ROOT / "build/release/agent/picket"))
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--interval", default="10s")
    parser.add_argument("--warm", type=float, default=25)
    parser.add_argument("--window", type=float, default=40)
    parser.add_argument("only", nargs="*")
    args = parser.parse_args()
    port, write = serve(targets(args.series)), f"http://127.0.0.1:{serve(Receiver)}/api/v1/write"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for agent, command in commands(args, folder, port, write).items():
            if args.only and not any(o in agent for o in args.only):
                continue
            process = backends.Process(agent.replace(" ", "-"), command, folder)
            time.sleep(args.warm)
            cpu, _ = usage(process.pid)
            before = Receiver.bytes
            time.sleep(args.window)
            after, rss = usage(process.pid)
            samples = args.targets * args.series * args.window / float(args.interval.rstrip("s"))
            print(f"{agent:18s} {1e6 * (after - cpu) / samples:6.2f} us/sample  {rss:6.1f} MB  {(Receiver.bytes - before) / samples:5.1f} B/sample", flush=True)
            process.stop()


if __name__ == "__main__":
    main()
