#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent as its users meet it: promtool and a Prometheus see a Prometheus, reloads keep what runs, a bad file keeps the old
configuration and says so everywhere, SIGTERM drains, wrong usage is told apart by exit codes."""
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request

import agent_story
from agent_story import BINARY, backends


def post(picket, path):
    request = urllib.request.Request(picket.url(path), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def until(what, check, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (got := check()):
            return got
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def config(folder, targets, rules):
    (folder / "rules.yml").write_text(json.dumps(rules))
    return {"collectors": {"scrape": {"global": {"scrape_interval": "1s", "external_labels": {"cluster": "test"}},
                                      "scrape_configs": [{"job_name": "self", "static_configs": [{"targets": targets}]}]},
                           "host": {"interval": "1s"}},
            "rules": {"files": [str(folder / "rules.yml")]}}


def main():
    with agent_story.folder() as folder:
        rules = {"groups": [{"name": "g", "interval": "1s", "rules": [{"record": "load:double", "expr": "node_load1 * 2"},
                                                                     {"alert": "Always", "expr": "vector(1)", "labels": {"severity": "info"}}]}]}
        picket = agent_story.Picket(folder, {})
        picket.configure(config(folder, [f"127.0.0.1:{picket.port}"], rules))
        picket.start()
        try:
            story(folder, picket, rules)
        finally:
            if picket.process.child.poll() is None:
                picket.process.kill()


def story(folder, picket, rules):
    until("up is 1", lambda: any(r["value"][1] == "1" for r in picket.get("/api/v1/query", query='up{job="self"}')["data"]["result"]))
    until("the recorded series", lambda: picket.get("/api/v1/query", query="load:double")["data"]["result"])
    promtool = backends.find("promtool")
    if promtool:
        out = subprocess.run([promtool, "query", "instant", f"http://127.0.0.1:{picket.port}", "count(node_cpu_seconds_total) > 0"],
                             capture_output=True, text=True, timeout=30)
        assert out.returncode == 0 and "=>" in out.stdout, out
        out = subprocess.run([promtool, "query", "labels", f"http://127.0.0.1:{picket.port}", "job"], capture_output=True, text=True, timeout=30)
        assert "self" in out.stdout and "node" in out.stdout, out
        metrics = backends.get(picket.url("/metrics"))
        out = subprocess.run([promtool, "check", "metrics"], input=metrics, capture_output=True, timeout=30)
        assert b"error" not in out.stderr.lower(), out.stderr.decode()
    now = time.time()
    matrix = picket.get("/api/v1/query_range", query="up", start=now - 3, end=now, step=1)["data"]["result"]
    assert matrix and matrix[0]["values"], matrix
    assert picket.get("/api/v1/labels")["data"].count("__name__") == 1
    assert "up" in picket.get("/api/v1/label/__name__/values")["data"]
    assert any(s["__name__"] == "up" for s in picket.get("/api/v1/series", **{"match[]": "up"})["data"])
    assert "node_load1" in picket.get("/api/v1/metadata")["data"]
    assert picket.get("/api/v1/status/buildinfo")["data"]["version"]
    target = picket.get("/api/v1/targets")["data"]["activeTargets"][0]
    assert target["health"] == "up" and target["scrapePool"] == "self", target
    groups = until("the alert fires", lambda: [g for g in picket.get("/api/v1/rules")["data"]["groups"]
                                               if any(r.get("state") == "firing" for r in g["rules"])])
    assert groups[0]["name"] == "g"
    assert picket.get("/api/v1/alerts")["data"]["alerts"][0]["labels"]["alertname"] == "Always"
    try:
        picket.get("/api/v1/query", query="sum(")
        raise AssertionError("a bad query was accepted")
    except urllib.error.HTTPError as e:
        body = json.loads(e.read())
        assert e.code == 400 and body["errorType"] == "bad_data" and "1:5" in body["error"], body

    # A bad file keeps the old configuration and says so in the reply, the page and a metric.
    good = picket.path.read_text()
    picket.path.write_text(good.replace('"scrape_interval"', '"scrape_intervall"'))
    code, text = post(picket, "/-/reload")
    assert code == 400 and "scrape_interval" in text and "picket.yml" in text and "^" in text, text
    assert not picket.status()["config"]["last_reload_ok"]
    assert b"picket_config_last_reload_successful 0" in backends.get(picket.url("/metrics"))
    assert "secret" not in text
    # A good one is taken; the target that stays keeps its samples without a gap of more than its interval.
    rules["groups"][0]["rules"].append({"record": "load:triple", "expr": "node_load1 * 3"})
    picket.configure(config(folder, [f"127.0.0.1:{picket.port}", "127.0.0.1:1"], rules))
    code, text = post(picket, "/-/reload")
    assert code == 200, text
    until("the new rule", lambda: picket.get("/api/v1/query", query="load:triple")["data"]["result"])
    until("the dead target has its error", lambda: any(t["health"] == "down" and "refused" in t["lastError"]
                                                     for t in picket.get("/api/v1/targets")["data"]["activeTargets"]))
    picket.process.child.send_signal(signal.SIGHUP)
    time.sleep(3)
    times = [float(v[0]) for v in picket.get("/api/v1/query", query=f'up{{instance="127.0.0.1:{picket.port}"}}[30s]')["data"]["result"][0]["values"]]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert max(gaps) < 1.5, gaps
    # A firing alert and the window are there after a kill.
    picket.process.kill()
    picket.start()
    again = [float(v[0]) for v in picket.get("/api/v1/query", query=f'up{{instance="127.0.0.1:{picket.port}"}}[60s]')["data"]["result"][0]["values"]]
    assert again[0] <= times[1], "the window before the kill is gone"
    until("the alert is restored", lambda: picket.get("/api/v1/alerts")["data"]["alerts"])
    assert picket.process.stop(20) == 0, picket.log()[-2000:]
    # Exit codes.
    run = lambda *a: subprocess.run([str(BINARY), *a], capture_output=True, text=True, timeout=30)  # noqa: E731
    assert run("version").returncode == 0
    assert run("chek").returncode == 2 and "check" in run("chek").stderr
    assert run("explain", "collectors.scrape.scrape_configs.honor_labels").returncode == 0
    assert json.loads(run("schema").stdout)["$schema"]
    bad = folder / "bad.yml"
    bad.write_text("scrape_configs: [{job_name: a, scrape_intervall: 1s}]\n")
    assert run("check", str(bad)).returncode == 2 and "scrape_interval" in run("check", str(bad)).stderr
    assert run("check", str(picket.path)).returncode in (0, 3), run("check", str(picket.path))
    print(f"{len(times)} scrapes, largest gap {max(gaps):.2f} s over a reload, window back after a kill")


if __name__ == "__main__":
    main()
