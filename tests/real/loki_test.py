#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CRI and JSON lines written to files, tailed, pushed to a real Loki, and read back line by line with labels, times and
structured metadata; a line that Loki refuses is lost alone and counted; a restart sends nothing twice."""
import collections
import datetime
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

BUILD = pathlib.Path(os.environ.get("PICKET_BUILD", "build/dev"))
LOKI = pathlib.Path(os.environ.get("PICKET_PEERS", pathlib.Path.home() / ".cache/picket/peers")) / "bin/loki"
AGENT = BUILD / "tests/logs/logs_agent"
LINES = 5000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as r:
        return r.read().decode()


def start_loki(root):
    http, grpc = free_port(), free_port()
    config = {
        "auth_enabled": False, "analytics": {"reporting_enabled": False},
        "server": {"http_listen_address": "127.0.0.1", "http_listen_port": http, "grpc_listen_address": "127.0.0.1",
                   "grpc_listen_port": grpc, "log_level": "error"},
        "common": {"instance_addr": "127.0.0.1", "path_prefix": f"{root}/loki", "replication_factor": 1,
                   "ring": {"kvstore": {"store": "inmemory"}},
                   "storage": {"filesystem": {"chunks_directory": f"{root}/loki/chunks",
                                              "rules_directory": f"{root}/loki/rules"}}},
        "schema_config": {"configs": [{"from": "2024-01-01", "store": "tsdb", "object_store": "filesystem",
                                       "schema": "v13", "index": {"prefix": "index_", "period": "24h"}}]},
        "memberlist": {"bind_addr": ["127.0.0.1"], "bind_port": free_port()},
        "limits_config": {"ingestion_rate_mb": 100, "ingestion_burst_size_mb": 100, "max_entries_limit_per_query": 100000,
                          "discover_log_levels": False, "discover_service_name": []},
    }
    path = root / "loki.json"
    path.write_text(json.dumps(config))
    log = open(root / "loki.log", "w")
    process = subprocess.Popen([str(LOKI), f"-config.file={path}"], stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, (root / "loki.log").read_text()[-2000:]
        try:
            if "ready" in get(f"http://127.0.0.1:{http}/ready", 2):
                return process, f"http://127.0.0.1:{http}"
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.5)
    raise AssertionError("Loki did not become ready in 120 s")


def start_agent(root, url):
    logs = ("files: ['%s/pods/*/*/*.log']\nformat: cri\nlabels: {env: test}\n"
            "json: {fields: {level: level, trace_id: ctx.trace_id, tenant: tenant}, labels: [level]}\n" % root)
    loki = f"url: {url}\nbatch_wait: 50ms\nbatch_size: 64KiB\nlabels: {{cluster: here}}\n"
    return subprocess.Popen([str(AGENT), str(root / "state"), logs, loki], stdout=subprocess.PIPE, text=True)


def rfc3339(ns):
    seconds = datetime.datetime.fromtimestamp(ns // 10**9, datetime.timezone.utc)
    return seconds.strftime("%Y-%m-%dT%H:%M:%S") + ".%09dZ" % (ns % 10**9)


def write_lines(root, base_ns, first, last):
    """Returns {labels: [(time, line, metadata)]} as Loki should have them."""
    expected = collections.defaultdict(list)
    for app in ("web", "db"):
        folder = root / f"pods/shop_{app}-5d_0f1e2d/main"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "0.log", "a", encoding="utf-8") as f:
            for i in range(first, last):
                t = base_ns + i * 1000
                stream = "stderr" if i % 7 == 0 else "stdout"
                level = ("info", "warn", "error")[i % 3]
                labels = {"namespace": "shop", "pod": f"{app}-5d", "uid": "0f1e2d", "container": "main", "env": "test",
                          "cluster": "here", "stream": stream}
                metadata = {}
                if i % 5 == 4:
                    line = f'plain line {i} of {app} with "quotes", a tab\t, ä€😀 and \\ backslash'
                else:
                    line = json.dumps({"level": level, "msg": f"request {i}", "ctx": {"trace_id": f"{i:032x}"},
                                       "tenant": "a\nb" if i % 2 else "ü"}, ensure_ascii=False)
                    labels["level"] = level
                    metadata = {"trace_id": f"{i:032x}", "tenant": "a\nb" if i % 2 else "ü"}
                if i % 13 == 0:
                    f.write(f"{rfc3339(t)} {stream} P {line[:9]}\n{rfc3339(t + 1)} {stream} F {line[9:]}\n")
                else:
                    f.write(f"{rfc3339(t)} {stream} F {line}\n")
                expected[json.dumps(labels, sort_keys=True)].append((t, line, metadata))
    return expected


def query(url, base_ns):
    parameters = urllib.parse.urlencode({"query": '{env="test"}', "start": base_ns - 10**9, "end": base_ns + 3600 * 10**9,
                                         "limit": 100000, "direction": "forward"})
    request = urllib.request.Request(f"{url}/loki/api/v1/query_range?{parameters}",
                                     headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"})
    with urllib.request.urlopen(request, timeout=60) as r:
        result = json.load(r)["data"]["result"]
    found = collections.defaultdict(list)
    for stream in result:
        for value in stream["values"]:
            extra = value[2] if len(value) > 2 else {}
            found[json.dumps(stream["stream"], sort_keys=True)].append(
                (int(value[0]), value[1], extra.get("structuredMetadata", {})))
    return {k: sorted(v, key=lambda e: e[0]) for k, v in found.items()}


def wait_for(url, base_ns, expected):
    want = sum(len(v) for v in expected.values())
    deadline = time.monotonic() + 60
    while True:
        found = query(url, base_ns)
        if sum(len(v) for v in found.values()) >= want or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


def compare(expected, found):
    assert set(expected) == set(found), f"streams differ: {set(expected) ^ set(found)}"
    for labels, entries in expected.items():
        assert len(entries) == len(found[labels]), f"{labels}: {len(entries)} lines expected, {len(found[labels])} found"
        for want, have in zip(entries, found[labels]):
            assert want == have, f"{labels}:\n want {want}\n have {have}"


def stop(agent):
    agent.send_signal(signal.SIGTERM)
    out, _ = agent.communicate(timeout=60)
    assert agent.returncode == 0, out
    return out


def main():
    if not LOKI.exists():
        print(f"SKIPPED: no Loki at {LOKI}; `./dev peers loki` builds it")
        return 77
    root = pathlib.Path(tempfile.mkdtemp(prefix="picket_loki_"))
    processes = []
    try:
        loki, url = start_loki(root)
        processes.append(loki)
        base = (time.time_ns() // 10**9 - 600) * 10**9
        expected = write_lines(root, base, 0, LINES)
        agent = start_agent(root, url)
        processes.append(agent)
        compare(expected, wait_for(url, base, expected))
        stop(agent)

        # A restart goes on where it was; one line older than Loki's week is lost alone.
        agent = start_agent(root, url)
        processes.append(agent)
        old = root / "pods/shop_web-5d_0f1e2d/main/0.log"
        with open(old, "a", encoding="utf-8") as f:
            f.write(f"{rfc3339(base - 30 * 86400 * 10**9)} stdout F too old for Loki\n")
        for labels, entries in write_lines(root, base, LINES, LINES + 100).items():
            expected[labels] += entries
        compare(expected, wait_for(url, base, expected))
        out = stop(agent)
        loki_line = next(l for l in out.splitlines() if l.startswith("loki "))
        assert "in=201 " in loki_line and "out=200 " in loki_line and "dropped=1 " in loki_line, out
        total = sum(len(v) for v in expected.values())
        print(f"{total} lines in {len(expected)} streams came back as written; one too old was counted")
        return 0
    finally:
        for p in processes:
            if p.poll() is None:
                p.kill()
                p.wait()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
