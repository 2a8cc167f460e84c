#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same prometheus.yml in Prometheus and in Picket: the query API answers in the same shapes, key by key and type by type, wrong
requests get the same status, error type and words, and pages of rule groups follow each other alike."""
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import agent_story
from agent_story import backends

SHAPES = ["rules", "rules?type=alert", "rules?type=record", "rules?exclude_alerts=true", "rules?rule_group[]=b", "rules?group_limit=2", "rules?match[]={severity=\"page\"}",
          "alerts", "targets", "targets?state=active", "targets?state=dropped", "targets?scrapePool=none", "targets/metadata?limit=3",
          "targets/metadata?metric=up_down", "targets/metadata?match_target={job=\"t\"}&metric=up_down", "metadata?metric=up_down", "alertmanagers",
          "query?query=up", "query?query=vector(1)", "query?query=1", "query?query=up[1m]", "query_range?query=up&start=1&end=2&step=1", "labels", "label/job/values",
          "series?match[]=up", "format_query?query=sum(up)by(job)", "status/buildinfo", "status/config"]
# What Prometheus has beside Picket's keys, and the other way round: told here, so that nothing else may differ.
MISSING = {"__always_scrape_classic_histograms__", "__convert_classic_histograms_to_nhcb__", "__scrape_native_histograms__"}  # native histograms
BESIDE = {"targets": {"samples", "series", "bodyBytes"}, "status/buildinfo": {"application"}}
WRONG = ["rules?type=both", "rules?group_limit=0", "rules?group_limit=-3", "rules?group_next_token=x", "rules?group_limit=1&group_next_token=gone",
         "query?query=sum(", "query_range?query=up&start=2&end=1&step=1", "query_range?query=up&start=0&end=1&step=0",
         "query_range?query=up&start=0&end=100000&step=1", "series", "targets/metadata?limit=x", "targets/metadata?metric=none"]


def ask(port, path):
    name, _, query = path.partition("?")
    query = "&".join(f"{k}={urllib.parse.quote(v)}" for k, _, v in (p.partition("=") for p in query.split("&") if p))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{name}?{query}", timeout=20) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def shape(value):
    """Types all the way down; a list is the shapes of its items."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        out = []
        for item in map(shape, value):
            if item not in out:
                out.append(item)
        return sorted(out, key=str)
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def differences(real, ours, at, beside):
    """Where two shapes differ, in words. Lists are compared by what their items have in common kinds."""
    if isinstance(real, dict) and isinstance(ours, dict):
        out = [f"{at}.{k} is missing" for k in real if k not in ours and k not in MISSING]
        out += [f"{at}.{k} is unknown to Prometheus" for k in ours if k not in real and k not in beside]
        return out + [d for k in real if k in ours for d in differences(real[k], ours[k], f"{at}.{k}", beside)]
    if isinstance(real, list) and isinstance(ours, list):
        return [d for o in ours for d in min((differences(r, o, at + "[]", beside) for r in real), key=len, default=[f"{at} has items"])]
    return [] if real == ours else [f"{at} is {ours}, not {real}"]


def until(what, check, seconds=40):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def firing(port):
    return any(a["state"] == "firing" for a in ask(port, "alerts")[1]["data"]["alerts"])


def pages(port):
    out, token = [], ""
    while True:
        data = ask(port, "rules?group_limit=2" + (f"&group_next_token={token}" if token else ""))[1]["data"]
        out.append([g["name"] for g in data["groups"]])
        token = data.get("groupNextToken", "")
        if not token:
            return out


def main():
    binary = backends.find("prometheus")
    version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout if binary else ""
    if not version.startswith("prometheus, version 3"):
        agent_story.skip("no Prometheus 3 on this machine, whose answers these are; `./dev peers` builds one")
    with agent_story.folder() as folder:
        from fault_test import Target
        target = Target(["# HELP up_down Goes up.\n# TYPE up_down gauge\nup_down"])
        groups = [{"name": n, "interval": "1s", "rules": [
            {"alert": "Always" + n, "expr": "vector(1)", "labels": {"severity": "page"}, "annotations": {"summary": "x"}, "keep_firing_for": "1m"},
            {"alert": "Never" + n, "expr": "vector(1) > 2", "for": "5m"}, {"record": "one:" + n, "expr": "vector(1)"}]} for n in "cab"]
        (folder / "rules.yml").write_text(json.dumps({"groups": groups}))
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "rule_files": ["rules.yml"],
                  "scrape_configs": [{"job_name": "t", "static_configs": [{"targets": [f"127.0.0.1:{target.port}", "127.0.0.1:1"]}],
                                      "relabel_configs": [{"source_labels": ["__address__"], "regex": "127.0.0.1:1", "action": "drop"}]}]}
        (folder / "prometheus.yml").write_text(json.dumps(config))
        port = backends.free_port()
        real = backends.Process("prometheus", [binary, "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}",
                                               f"--storage.tsdb.path={folder}/prometheus-data"], folder)
        picket = agent_story.Picket(folder, {})
        picket.path.write_text(json.dumps({**config, "node": json.loads(picket.path.read_text())["node"]}))
        try:
            real.wait_for(f"http://127.0.0.1:{port}/-/ready")
            picket.start()
            for p in (port, picket.port):
                until("an alert fires and the target was scraped", lambda: firing(p) and ask(p, "query?query=up_down")[1]["data"]["result"])
                until("metadata", lambda: ask(p, "targets/metadata?metric=up_down")[0] == 200)
                until("every rule was evaluated", lambda: all(r["health"] == "ok" for g in ask(p, "rules")[1]["data"]["groups"] for r in g["rules"]))
            found = []
            for path in SHAPES:
                (status, theirs), (ours_status, ours) = ask(port, path), ask(picket.port, path)
                if status != ours_status:
                    found.append(f"{path}: {ours_status} {ours}, not {status}")
                found += differences(shape(theirs), shape(ours), path.partition("?")[0], BESIDE.get(path.partition("?")[0], set()))
            for path in WRONG:
                (status, theirs), (ours_status, ours) = ask(port, path), ask(picket.port, path)
                if (status, theirs.get("errorType"), theirs.get("error")) != (ours_status, ours.get("errorType"), ours.get("error")):
                    found.append(f"{path}: {ours_status} {ours.get('errorType')} {ours.get('error')!r}, not {status} {theirs.get('errorType')} {theirs.get('error')!r}")
            if pages(port) != pages(picket.port):
                found.append(f"pages of groups: {pages(picket.port)}, not {pages(port)}")
            assert not found, "\n" + "\n".join(found)
        finally:
            if picket.process:
                picket.process.kill()
            real.kill()
    print(f"{len(SHAPES)} answers of the same shape as Prometheus', {len(WRONG)} wrong requests told in the same words, pages alike")


if __name__ == "__main__":
    main()
