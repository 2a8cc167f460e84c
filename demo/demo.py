#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two minutes of Picket: a shop, its canary, a fault, and the rollback. Everything real, all on loopback."""
import argparse
import http.server
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import backends

HERE = pathlib.Path(__file__).resolve().parent
CANARY_SHARE = 0.25
BAD_RATE = 0.05


class Story:
    """Tells what happens, each line with the seconds since the start."""

    def __init__(self):
        self.start = time.monotonic()

    def tell(self, text):
        print(f"{time.monotonic() - self.start:6.1f} s  {text}", flush=True)


def python_with_libraries():
    """A Python that has the real client libraries, in a virtual environment made once."""
    venv = pathlib.Path(os.environ.get("PICKET_CACHE", pathlib.Path.home() / ".cache/picket")) / "demo-venv"
    stamp = venv / "installed"
    wanted = (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "install", "-q", "-r", str(HERE / "requirements.txt")], check=True)
        stamp.write_text(wanted)
    return str(venv / "bin/python")


class Load(threading.Thread):
    """Requests at a steady rate, a share of them to the canary while there is one."""

    def __init__(self, rate, baseline):
        super().__init__(daemon=True)
        self.rate, self.baseline, self.canary, self.share = rate, baseline, None, 0.0
        self.sent = {"baseline": 0, "canary": 0}
        self.running = True
        self.slots = threading.Semaphore(64)

    def run(self):
        following = time.monotonic()
        while self.running:
            following += random.expovariate(self.rate)
            time.sleep(max(0.0, following - time.monotonic()))
            to_canary = self.canary is not None and random.random() < self.share
            self.sent["canary" if to_canary else "baseline"] += 1
            port = self.canary if to_canary else random.choice(self.baseline)
            self.slots.acquire()
            threading.Thread(target=self.request, args=(port,), daemon=True).start()

    def request(self, port):
        try:
            backends.get(f"http://127.0.0.1:{port}/{random.choice(('cart', 'checkout', 'pay'))}", 5)
        except OSError:
            pass  # a failed sale is what the demo is about
        finally:
            self.slots.release()


class Rollout(http.server.ThreadingHTTPServer):
    """Stands for the rollout controller: takes the signal and obeys."""

    def __init__(self, obey):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.signal, outer.received = body, time.monotonic()
                obey(body)
                self.send_response(204)
                self.end_headers()

        self.signal = self.received = None
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def configuration(folder, port, ports, otlp, real, hook):
    exporters = {"signals": {"controller": {"kind": "webhook", "url": f"http://127.0.0.1:{hook}/rollback", "secret": "demo"}}}
    if "prometheus" in real:
        exporters["remote_write"] = [{"url": f"http://127.0.0.1:{real['prometheus']}/api/v1/write",
                                      "protobuf_message": "io.prometheus.write.v2.Request" if real["prometheus_v2"] else "prometheus.WriteRequest"}]
    if "loki" in real:
        exporters["loki"] = [{"url": f"http://127.0.0.1:{real['loki']}/loki/api/v1/push"}]
    if "tempo" in real:
        exporters["otlp"] = [{"endpoint": f"http://127.0.0.1:{real['tempo_otlp']}"}]
    if "alertmanager" in real:
        exporters["alertmanager"] = [{"static_configs": [{"targets": [f"127.0.0.1:{real['alertmanager']}"]}]}]
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "shop", "interval": "2s", "rules": [
        {"record": "version:http_errors:ratio_rate30s",
         "expr": 'sum by (version) (rate(http_requests_total{code="500"}[30s])) / sum by (version) (rate(http_requests_total[30s]))'},
        {"alert": "ShopErrors", "expr": "version:http_errors:ratio_rate30s > 0.03", "for": "4s", "labels": {"severity": "page"},
         "annotations": {"summary": "{{ $value | humanizePercentage }} of {{ $labels.version }}'s sales fail"}},
        {"alert": "ShopDown", "expr": 'up{job="shop"} == 0', "for": "10s"}]}]}, indent=2))
    (folder / "slo.yml").write_text(json.dumps({"slos": [{"name": "shop-sales", "service": "shop", "objective": 99.5, "window": "30d",
        "indicator": {"ratio": {"total": 'http_requests_total{job="shop"}', "errors": 'http_requests_total{job="shop",code="500"}'}}}]}, indent=2))
    config = {
        "node": {"name": "demo", "data_dir": str(folder / "data"), "listen": f"127.0.0.1:{port}"},
        "collectors": {
            "scrape": {"global": {"scrape_interval": "1s"}, "scrape_configs": [{"job_name": "shop",
                       "file_sd_configs": [{"files": [str(folder / "targets.json")], "refresh_interval": "1s"}]}]},
            "host": {"interval": "5s"},
            "logs": [{"files": [str(folder / "logs/*.log")], "format": "cri", "labels": {"job": "shop"},
                      "json": {"fields": {"level": "level", "trace_id": "trace_id"}, "labels": ["level"]}}],
            "otlp": {"http": f"127.0.0.1:{otlp}", "grpc": "", "span_metrics": {"interval": "5s"}},
        },
        "rules": {"files": [str(folder / "rules.yml")], "slos": [str(folder / "slo.yml")], "canaries": [{
            "name": "shop", "baseline": '{job="shop",version="v1"}', "canary": '{job="shop",version="v2"}', "interval": "1s",
            "indicators": [{"name": "errors", "requests": "http_requests_total", "errors": 'http_requests_total{code="500"}'}],
            "signals": ["controller"]}]},
        "exporters": exporters,
    }
    path = folder / "picket.yml"
    path.write_text(json.dumps(config, indent=2))  # JSON is YAML
    return path


class Demo:
    def __init__(self, args):
        self.args, self.story, self.processes = args, Story(), []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="picket-demo-"))
        (self.folder / "logs").mkdir()
        self.port = args.port or backends.free_port()
        self.otlp = backends.free_port()
        self.targets = []
        self.rolled_back = threading.Event()

    def start(self, process):
        self.processes.append(process)
        return process

    def shop(self, version, rate):
        port = backends.free_port()
        errors = self.folder / f"errors-{version}-{port}"
        errors.write_text(str(rate))
        name = f"shop-{version}-{port}"
        self.start(backends.Process(name, [self.python, str(HERE / "shop.py"), f"--port={port}", f"--version={version}", f"--errors={errors}",
                                           f"--log={self.folder}/logs/{name}.log", f"--otlp=http://127.0.0.1:{self.otlp}"], self.folder)
                   ).wait_for(f"http://127.0.0.1:{port}/metrics")
        self.targets.append({"targets": [f"127.0.0.1:{port}"], "labels": {"version": version}})
        staged = self.folder / "targets.json.new"
        staged.write_text(json.dumps(self.targets))
        staged.rename(self.folder / "targets.json")
        return port, errors

    def backends(self):
        real = {}
        if found := backends.prometheus(self.folder):
            self.start(found[0])
            real["prometheus"], real["prometheus_process"] = found[1], found[0]
            real["prometheus_v2"] = str(backends.PEERS) in found[0].command[0]
        if found := backends.loki(self.folder):
            self.start(found[0])
            real["loki"], real["loki_process"] = found[1], found[0]
        if found := backends.tempo(self.folder):
            self.start(found[0])
            real["tempo"], real["tempo_otlp"], real["tempo_process"] = found[1], found[3], found[0]
        if found := backends.alertmanager(self.folder):
            self.start(found[0])
            real["alertmanager"], real["alertmanager_process"] = found[1], found[0]
        return real

    def api(self, path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        return json.loads(backends.get(f"http://127.0.0.1:{self.port}{path}{query}"))

    def canary(self):
        return self.api("/api/picket/v1/status")["canaries"][0]

    def run(self):
        tell = self.story.tell
        tell("preparing: the client libraries and the backends that are on this machine")
        self.python = python_with_libraries()
        real = self.backends()
        names = [n for n in ("prometheus", "loki", "tempo", "alertmanager") if n in real]
        tell(f"real backends: {', '.join(names) if names else 'none; Picket decides without them'}")
        hook = Rollout(self.obey)
        self.folder.joinpath("targets.json").write_text("[]")
        config = configuration(self.folder, self.port, None, self.otlp, real, hook.server_address[1])
        begun = time.monotonic()
        picket = self.start(backends.Process("picket", [str(pathlib.Path(self.args.picket).resolve()), "run", str(config)], self.folder))
        picket.wait_for(f"http://127.0.0.1:{self.port}/-/ready")
        tell(f"Picket is ready after {1000 * (time.monotonic() - begun):.0f} ms; its page: http://127.0.0.1:{self.port}/")
        ports = [self.shop("v1", 0.001)[0] for _ in range(3)]
        self.load = Load(self.args.rate, ports)
        self.load.start()
        tell(f"three baseline shops (v1, 0.1 % of sales fail), {self.args.rate} requests a second")
        time.sleep(self.args.baseline)
        canary_port, errors = self.shop("v2", 0.001)
        self.load.canary, self.load.share = canary_port, CANARY_SHARE
        tell(f"the canary (v2) takes {CANARY_SHARE:.0%} of the traffic, and is as good as the baseline")
        time.sleep(self.args.healthy)
        c = self.canary()
        tell(f"verdict: {c['verdict']}; {c['canary']['requests']:.0f} canary requests, {c['canary']['errors']:.0f} failed, ln E = {c['log_e']:.2f}")
        errors.write_text(str(BAD_RATE))
        bad_at, before = time.monotonic(), self.load.sent["canary"]
        tell(f"v2 turns bad: {BAD_RATE:.0%} of its sales fail from now on")
        shown = 0.0
        while not self.rolled_back.wait(1.0):
            c = self.canary()
            if c["log_e"] >= shown + 1:
                shown = c["log_e"]
                tell(f"  evidence grows: ln E = {c['log_e']:.2f} of {c['threshold']:.2f}, {c['canary']['errors']:.0f} of {c['canary']['requests']:.0f} canary requests failed")
            if time.monotonic() - bad_at > 180:
                tell("no decision within 180 s: something is wrong")
                return 1
        evidence = hook.signal
        tell(f"ROLLBACK signal received {hook.received - bad_at:.1f} s and {self.load.sent['canary'] - before} canary requests after the fault")
        tell(f"  because {evidence['reason']}")
        tell("the demo obeyed: all traffic is back on v1")
        time.sleep(self.args.after)
        self.report(real)
        if self.args.stay:
            tell(f"the page stays at http://127.0.0.1:{self.port}/ until you press Ctrl-C")
            threading.Event().wait()
        return 0

    def obey(self, signal):
        self.load.canary = None
        self.rolled_back.set()

    def report(self, real):
        tell = self.story.tell
        status = self.api("/api/picket/v1/status")
        slo = status["slos"][0]
        tell(f"SLO {slo['name']}: {slo['total']:.0f} sales, {slo['total'] - slo['good']:.0f} failed, {100 * slo['budget_remaining']:.1f} % of the 30-day budget left")
        for alert in self.api("/api/v1/alerts")["data"]["alerts"]:
            tell(f"alert {alert['labels']['alertname']} is {alert['state']}: {alert['annotations'].get('summary', '')}")
        if "prometheus" in real:
            reply = json.loads(backends.get(f"http://127.0.0.1:{real['prometheus']}/api/v1/query?" + urllib.parse.urlencode(
                {"query": 'sum(http_requests_total{job="shop"})'})))
            result = reply["data"]["result"]
            tell(f"Prometheus has {result[0]['value'][1] if result else 0} sales of {sum(self.load.sent.values())}")
        if "loki" in real:
            reply = json.loads(backends.get(f"http://127.0.0.1:{real['loki']}/loki/api/v1/query?" + urllib.parse.urlencode(
                {"query": 'sum(count_over_time({job="shop"}[10m]))'}), 10))
            result = reply["data"]["result"]
            tell(f"Loki has {result[0]['value'][1] if result else 0} log lines")
        for q in status["queues"]:
            if q["in"]:
                lost = ", ".join(f"{k} {v}" for k, v in q["dropped_by_reason"].items()) or "nothing lost"
                tell(f"  {q['component']:14s} {q['instance'][:44]:44s} {q['in']:>8} {q['unit']} in = {q['out']} out + {q['queued']} queued + {q['dropped']} dropped ({lost})")
        usage = pathlib.Path(f"/proc/{next(p for p in self.processes if p.name == 'picket').pid}/status").read_text()
        tell(f"Picket's memory: {int(usage.split('VmRSS:')[1].split()[0]) // 1024} MiB")

    def close(self):
        if hasattr(self, "load"):
            self.load.running = False
        for process in reversed(self.processes):
            process.stop()
        if not self.args.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print("kept:", self.folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picket", required=True)
    parser.add_argument("--port", type=int, default=9510, help="of the page; 0 takes a free one")
    parser.add_argument("--rate", type=float, default=60, help="requests a second")
    parser.add_argument("--baseline", type=float, default=20, help="seconds of baseline alone")
    parser.add_argument("--healthy", type=float, default=20, help="seconds of a healthy canary")
    parser.add_argument("--after", type=float, default=8, help="seconds after the rollback")
    parser.add_argument("--stay", action="store_true", help="keep everything running until Ctrl-C")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and data")
    demo = Demo(parser.parse_args())
    try:
        return demo.run()
    except KeyboardInterrupt:
        return 130
    finally:
        demo.close()


if __name__ == "__main__":
    sys.exit(main())
