#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting, reloading and stopping as an operator meets them: wrong configurations, a port or a data directory that is taken, a
backend that is not there, SIGHUP with a bad file, SIGTERM during a backlog and a second one, and what is found after the next start."""
import json
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import agent_story
from agent_story import BINARY, backends
from disk_test import Pusher
from fault_test import Backend, lines, spans, wait

# text, and what must be said of it, with its place
WRONG = {
    "an unknown key": ("collectors:\n  scrap: {}\n", ["bad.yml:2:3", 'unknown key "scrap"', "did you mean: scrape"]),
    "a value of the wrong kind, and an address": ("limits: {memory: lots}\nnode: {listen: 9510x}\n",
                                                  ["bad.yml:1:18", "64MiB", "bad.yml:2:16", "127.0.0.1:9510", "2 errors"]),
    "broken YAML": ("limits: {memory: 1MiB\n", ["bad.yml:", "YAML syntax"]),
    "a URL as a target, a bad pattern and a bad action": (
        "scrape_configs:\n- job_name: x\n  static_configs: [{targets: ['http://a:1/m']}]\n  relabel_configs: [{regex: '(', action: replac}]\n",
        ["bad.yml:3:", "metrics_path", "bad.yml:4:", "not a regular expression", "did you mean: replace", "3 errors"]),
    "a rule file that is not there, and one with a mistake": (
        "rules: {files: [nope.yml, rules.yml]}\n", ["rules.files[0]", "nope.yml", "rules.yml:1:", "unclosed left parenthesis", "2 errors"]),
}


def run(folder, name, *arguments):
    return subprocess.run([str(BINARY), *arguments, str(folder / name)], capture_output=True, text=True, timeout=60)


def wrong_configurations(folder):
    (folder / "rules.yml").write_text('groups: [{name: g, rules: [{alert: A, expr: "sum("}]}]\n')
    for what, (text, said) in WRONG.items():
        (folder / "bad.yml").write_text(text)
        for verb in ("check", "run"):
            result = run(folder, "bad.yml", verb)
            assert result.returncode == 2, (what, verb, result)
            for words in said:
                assert words in result.stderr, f"{verb} of {what} does not say {words!r}:\n{result.stderr}"
    result = run(folder, "nowhere.yml", "run")
    assert result.returncode == 2 and "nowhere.yml" in result.stderr and "No such file" in result.stderr, result


def taken(folder):
    """The port, OTLP's port and the data directory are another's."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        quiet = {"collectors": {"host": {"enabled": False}}}
        for config, key in (({"node": {"listen": f"127.0.0.1:{port}", "data_dir": str(folder / "a")}, **quiet}, "node.listen"),
                            ({"node": {"listen": "127.0.0.1:0", "data_dir": str(folder / "b")},
                              "collectors": {"host": {"enabled": False}, "otlp": {"http": f"127.0.0.1:{port}", "grpc": ""}}}, "collectors.otlp")):
            (folder / "taken.yml").write_text(json.dumps(config))
            result = run(folder, "taken.yml", "run")
            assert result.returncode == 1, result
            for words in (key, f"127.0.0.1:{port}", "already in use", "remedy="):
                assert words in result.stderr, (words, result.stderr)
    picket = agent_story.Picket(folder, {}).start()
    try:
        other = json.loads(picket.path.read_text())
        other["node"]["listen"] = "127.0.0.1:0"
        (folder / "second.yml").write_text(json.dumps(other))
        result = run(folder, "second.yml", "run")
        assert result.returncode == 1 and "in use by another process" in result.stderr and "data_dir" in result.stderr, result
        assert picket.status()["version"], "the first one is not disturbed"
    finally:
        picket.process.stop()


def limits_and_own_log(folder):
    """The soft limit of descriptors is raised; its own log is not followed, although a pattern names it."""
    loki = Backend(lines, 204)
    picket = agent_story.Picket(folder, {"collectors": {"logs": [{"files": [str(folder / "*.log")], "format": "plain", "start_at": "beginning"}]},
                                         "exporters": {"loki": [{"url": f"http://127.0.0.1:{loki.port}", "batch_wait": "50ms"}]}})
    (folder / "app.log").write_text("one line\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        picket.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        text = open(f"/proc/{picket.process.pid}/limits").read()
        limit = next(l for l in text.splitlines() if l.startswith("Max open files")).split()
        assert limit[3] == limit[4] == str(hard), limit
        wait("the line of the other file", lambda: {l for _, _, l in list(loki.accepted)} == {b"one line"})
        assert "Picket is ready" in picket.log()
        assert [f["path"] for f in picket.status()["logs"]] == [str(folder / "app.log")]
    finally:
        picket.process.stop()


def reload_and_stop(folder):
    tempo, otlp = Backend(spans, 200), backends.free_port()
    config = {"node": {"shutdown_timeout": "2s"},
              "collectors": {"otlp": {"http": f"127.0.0.1:{otlp}", "grpc": "", "span_metrics": {"enabled": False}}},
              "exporters": {"otlp": [{"name": "t", "endpoint": f"http://127.0.0.1:{tempo.port}", "retry": {"max_backoff": "1s"}}]}}
    picket = agent_story.Picket(folder, config)
    tempo.down()
    picket.start()
    try:
        reload_and_stop_of(picket, config, tempo, Pusher(otlp))
    finally:
        picket.process.kill()


def reload_and_stop_of(picket, config, tempo, pusher):
    good = picket.path.read_text()

    # A backend that is not there is named with its error; the agent is ready all the same.
    assert pusher.push(5)
    wait("the page names the dead backend", lambda: "refused" in picket.status()["destinations"][0]["last_error"])

    # SIGHUP with a bad file: the old configuration runs on, and that is told in log, page and metric.
    picket.path.write_text(good.replace('"exporters"', '"exportres"'))
    os.kill(picket.process.pid, signal.SIGHUP)
    wait("the refusal on the page", lambda: not picket.status()["config"]["last_reload_ok"])
    assert 'unknown key "exportres"' in picket.status()["config"]["last_reload_error"]
    refusal = next(l for l in picket.log().splitlines() if "refused; the old one runs on" in l)
    assert "picket.yml:" in refusal and "exportres" in refusal and "\\n" not in refusal, refusal
    assert "picket_config_last_reload_successful 0" in backends.get(picket.url("/metrics")).decode()
    try:
        urllib.request.urlopen(urllib.request.Request(picket.url("/-/reload"), b"", method="POST"), timeout=20)
        raise AssertionError("a bad file was accepted")
    except urllib.error.HTTPError as e:
        text = e.read().decode()
        assert e.code == 400 and "did you mean: exporters" in text and "the old one runs on" in text, text
    assert pusher.push(5), "the old configuration does not run on"
    picket.path.write_text(good)
    os.kill(picket.process.pid, signal.SIGHUP)
    wait("a good file is taken", lambda: picket.status()["config"]["last_reload_ok"])

    # Changed settings of the backend are taken with its queue, while spans come in.
    config["exporters"]["otlp"][0]["timeout"] = "3s"
    picket.configure(config)
    reply = urllib.request.urlopen(urllib.request.Request(picket.url("/-/reload"), b"", method="POST"), timeout=20)
    assert reply.status == 200 and picket.status()["queues"][-1]["queued"] == len(pusher.acknowledged), picket.status()["queues"]
    assert pusher.push(5), "spans are not taken after the reload"

    # SIGTERM with a backlog: it tries for as long as it may, then says what waits and where.
    assert picket.process.stop(30) == 0
    said = [l for l in picket.log().splitlines() if "waits on disk for the next start" in l]
    assert len(said) == 1 and f"queued={len(pusher.acknowledged)}" in said[0] and "unit=spans" in said[0], picket.log()[-2000:]

    # A second SIGTERM ends at once; nothing is lost.
    picket.configure({**config, "node": {"shutdown_timeout": "5m"}})
    picket.start()
    assert pusher.push(5)
    os.kill(picket.process.pid, signal.SIGTERM)
    wait("the stop begins", lambda: "Stopping: inputs end" in picket.log().split("Picket has stopped")[-1], 20)
    time.sleep(0.2)
    assert picket.process.child.poll() is None, "it does not wait for the backlog"
    os.kill(picket.process.pid, signal.SIGTERM)
    assert picket.process.child.wait(20) == 1
    assert "A second signal" in picket.log()
    picket.configure(config)
    tempo.up()
    picket.start()
    wait("all that was acknowledged", lambda: {i for _, _, i in list(tempo.accepted)} == set(pusher.acknowledged))
    assert picket.process.stop(30) == 0
    assert not any("waits on disk" in l for l in picket.log().split("Picket is ready")[-1].splitlines())


def main():
    for story in (wrong_configurations, taken, limits_and_own_log, reload_and_stop):
        with agent_story.folder() as folder:
            story(folder)
    print(f"{len(WRONG) + 1} wrong configurations told with their places; ports and data taken, a dead backend, a bad reload, "
          "a stop during a backlog and a second signal: all said, nothing lost")


if __name__ == "__main__":
    main()
