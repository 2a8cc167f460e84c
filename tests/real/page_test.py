#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page in headless Chromium: it fills itself, draws a query, needs no other host, and says what is wrong."""
import json
import os
import pathlib
import shutil
import subprocess
import time

import agent_story
from agent_story import backends

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # no other host exists for the page


def chromium(folder, url, *more):
    profile = folder / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    return subprocess.run([shutil.which("chromium"), *FLAGS, f"--user-data-dir={profile}", "--virtual-time-budget=8000", *more, url],
                          capture_output=True, text=True, timeout=120)


def main():
    if not shutil.which("chromium"):
        agent_story.skip("no chromium: apt-get install chromium")
    with agent_story.folder() as folder:
        (folder / "app.log").write_text("one\ntwo\n")
        (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "node", "interval": "1s", "rules": [
            {"alert": "LoadIsThere", "expr": "node_load1 >= 0", "annotations": {"summary": "load"}}]}]}))
        picket = agent_story.Picket(folder, {
            "collectors": {"host": {"interval": "1s"}, "logs": [{"files": [str(folder / "app.log")], "format": "plain"}],
                           "scrape": {"scrape_configs": [{"job_name": "dead", "scrape_interval": "1s", "scrape_timeout": "1s",
                                                          "static_configs": [{"targets": ["127.0.0.1:1"]}]}]}},
            "rules": {"files": [str(folder / "rules.yml")]}}).start()
        try:
            time.sleep(4)
            out = chromium(folder, picket.url("/") + "#q=node_load1", "--dump-dom")
            dom = out.stdout
            assert 'data-ready="yes"' in dom, dom[-3000:] + out.stderr[-1000:]
            for text in ("LoadIsThere", "firing", "Connection refused", "app.log", "tsdb", "node_load1"):
                assert text in dom, f"{text} is not on the page"
            assert 'id="chart" class="drawn"' in dom, "no chart"
            shot = os.environ.get("PICKET_SCREENSHOT", str(folder / "page.png"))
            chromium(folder, picket.url("/") + "#q=node_load1", f"--screenshot={shot}", "--window-size=1280,1500")
            assert pathlib.Path(shot).stat().st_size > 10_000
        finally:
            picket.process.kill()
        print("the page filled itself, drew a query with no other host in reach")


if __name__ == "__main__":
    main()
