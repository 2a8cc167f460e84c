#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An alert from a scraped sample to a real Alertmanager and on to its receiver: labels, annotations, generatorURL and times arrive as
Picket has them; what fires or resolves while Alertmanager is away arrives when it is back."""
import datetime
import http.server
import json
import threading
import time
import urllib.parse

import agent_story
from agent_story import backends

EXTERNAL_URL = "http://picket.test:9510"
RULES = {"groups": [{"name": "shop", "interval": "1s", "labels": {"team": "shop"}, "rules": [
    {"alert": "HighErrors", "expr": "shop_errors\n  > 5", "for": "2s",
     "labels": {"severity": "page", "grade": "{{ if gt $value 7.0 }}bad{{ else }}fair{{ end }}"},
     "annotations": {"summary": "{{ $labels.shop }} has {{ $value | humanize }} errors in {{ $externalLabels.cluster }}",
                     "text": "a \"quote\", an ä and\na second line", "link": "{{ $externalURL }}/x"}},
    {"alert": "NoStock", "expr": "shop_stock == 0", "labels": {"cluster": "own"}}]}]}


class Shop(http.server.BaseHTTPRequestHandler):
    """The target, and the receiver of what Alertmanager sends on."""
    values = {}
    notifications = []

    def do_GET(self):
        body = "".join(f'{name}{{shop="north"}} {value}\n' for name, value in self.values.items()).encode()
        self.answer(body)

    def do_POST(self):
        self.notifications.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"])
        self.answer(b"")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def until(what, check, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (got := check()):
            return got
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def milliseconds(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(moment.timestamp() * 1000)


class Alertmanager:
    def __init__(self, binary, folder, shop_port):
        self.folder, self.port = folder, backends.free_port()
        (folder / "alertmanager.yml").write_text(json.dumps({
            "route": {"receiver": "shop", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
            "receivers": [{"name": "shop", "webhook_configs": [{"url": f"http://127.0.0.1:{shop_port}/", "send_resolved": True}]}]}))
        self.command = [binary, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alertmanager",
                        f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        self.start()

    def start(self):
        self.process = backends.Process("alertmanager", self.command, self.folder).wait_for(f"http://127.0.0.1:{self.port}/-/ready")

    def alerts(self):
        """By name; what has ended is not among them."""
        found = json.loads(backends.get(f"http://127.0.0.1:{self.port}/api/v2/alerts"))
        return {a["labels"]["alertname"]: a for a in found}

    def received(self, status):
        metrics = backends.get(f"http://127.0.0.1:{self.port}/metrics").decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines()
                   if line.startswith("alertmanager_alerts_received_total{") and f'status="{status}"' in line)


def firing(picket, name):
    """Times in ms of the samples at which the alert fired."""
    query = f'ALERTS{{alertname="{name}",alertstate="firing"}}[10m]'
    result = picket.get("/api/v1/query", query=query)["data"]["result"]
    assert len(result) <= 1, result
    return [round(float(t) * 1000) for t, _ in result[0]["values"]] if result else []


def state(picket, name):
    rules = [r for g in picket.get("/api/v1/rules")["data"]["groups"] for r in g["rules"]]
    return next(r["state"] for r in rules if r["name"] == name)


def compare(picket, got, expected):
    expected = dict(expected, startsAt=firing(picket, expected["labels"]["alertname"])[0])
    wanted = {key: got[key] for key in ("labels", "annotations", "generatorURL")}
    wanted["startsAt"] = milliseconds(got["startsAt"])
    assert wanted == expected, f"\nexpected {json.dumps(expected, sort_keys=True)}\ngot      {json.dumps(wanted, sort_keys=True)}"


def generator(expr):
    return f"{EXTERNAL_URL}/graph?g0.expr={urllib.parse.quote_plus(expr)}&g0.tab=1"


def story(picket, alertmanager, target):
    high = {"labels": {"alertname": "HighErrors", "instance": target, "job": "shop", "shop": "north", "team": "shop", "severity": "page",
                       "grade": "bad", "cluster": "eu", "replica": "a"},
            "annotations": {"summary": "north has 9.5 errors in eu", "text": "a \"quote\", an ä and\na second line", "link": EXTERNAL_URL + "/x"},
            "generatorURL": generator("shop_errors > 5")}
    stock = {"labels": {"alertname": "NoStock", "instance": target, "job": "shop", "shop": "north", "team": "shop", "cluster": "own", "replica": "a"},
             "annotations": {}, "generatorURL": generator("shop_stock == 0")}
    until("both rules were evaluated", lambda: picket.get("/api/v1/query", query="shop_errors")["data"]["result"])
    assert not alertmanager.alerts() and not Shop.notifications

    # It fires.
    Shop.values["shop_errors"] = 9.5
    got = until("HighErrors is at Alertmanager", lambda: alertmanager.alerts().get("HighErrors"))
    compare(picket, got, high)
    assert got["status"]["state"] == "active", got
    assert milliseconds(got["endsAt"]) > milliseconds(got["updatedAt"]), got
    activated = milliseconds(picket.get("/api/v1/alerts")["data"]["alerts"][0]["activeAt"])
    assert milliseconds(got["startsAt"]) - activated >= 2000, (got, activated)
    first = until("the receiver hears of it", lambda: [n for n in Shop.notifications if n["labels"]["alertname"] == "HighErrors"])[0]
    assert first["status"] == "firing" and first["startsAt"] == got["startsAt"], first
    compare(picket, first, high)

    # Alertmanager is away while a second one fires; it comes back without a memory of the first.
    alertmanager.process.stop()
    Shop.values["shop_stock"] = 0
    until("NoStock fires", lambda: state(picket, "NoStock") == "firing")
    until("alerts wait", lambda: any(q["queued"] > 0 for q in picket.queue("exporters.alertmanager")))
    alertmanager.start()
    after = until("both are there again", lambda: len(a := alertmanager.alerts()) == 2 and a)
    compare(picket, after["HighErrors"], high)
    compare(picket, after["NoStock"], stock)
    assert after["HighErrors"]["startsAt"] == got["startsAt"], (after, got)

    # It resolves.
    Shop.values["shop_errors"] = 1
    resolved = until("the receiver hears the end", lambda: [n for n in Shop.notifications if n["status"] == "resolved"])
    assert [n["labels"]["alertname"] for n in resolved] == ["HighErrors"], resolved
    compare(picket, resolved[0], high)
    last = firing(picket, "HighErrors")[-1]
    ended = milliseconds(resolved[0]["endsAt"])
    assert ended > last and (ended - last) % 1000 == 0, (ended, last)
    assert state(picket, "HighErrors") == "inactive"
    assert list(alertmanager.alerts()) == ["NoStock"]

    # The second one resolves while Alertmanager is away.
    until("NoStock was sent on", lambda: [n for n in Shop.notifications if n["labels"]["alertname"] == "NoStock"])
    alertmanager.process.kill()
    Shop.values["shop_stock"] = 3
    until("NoStock ends", lambda: state(picket, "NoStock") == "inactive")
    alertmanager.start()
    until("its end is received", lambda: alertmanager.received("resolved") > 0)
    until("the queue is empty again", lambda: all(q["queued"] == 0 for q in picket.queue("exporters.alertmanager")))
    assert not alertmanager.alerts(), alertmanager.alerts()
    queue = picket.queue("exporters.alertmanager")[0]
    assert queue["in"] == queue["out"] + queue["queued"] + queue["dropped"] and queue["dropped"] == 0, queue
    return ended - last


def main():
    binary = backends.find("prometheus-alertmanager", "alertmanager")
    if not binary:
        agent_story.skip("no Alertmanager (Debian: prometheus-alertmanager)")
    Shop.values.update(shop_errors=1, shop_stock=3)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = f"127.0.0.1:{server.server_port}"
    with agent_story.folder() as folder:
        (folder / "rules.yml").write_text(json.dumps(RULES))
        alertmanager = Alertmanager(binary, folder, server.server_port)
        picket = agent_story.Picket(folder, {
            "collectors": {"scrape": {"global": {"scrape_interval": "1s", "external_labels": {"cluster": "eu", "replica": "a"}},
                                      "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [target]}]}]}},
            "rules": {"files": [str(folder / "rules.yml")], "alerting": {"resend_delay": "5s", "external_url": EXTERNAL_URL}},
            "exporters": {"alertmanager": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}]}})
        try:
            picket.start()
            story(picket, alertmanager, target)
            print(f"{len(Shop.notifications)} notifications, every label, annotation, link and time as in Picket; two outages of Alertmanager")
        except Exception:
            print(picket.log()[-3000:])
            raise
        finally:
            if picket.process:
                picket.process.stop()
            alertmanager.process.stop()
    server.shutdown()


if __name__ == "__main__":
    main()
