# SPDX-License-Identifier: Apache-2.0
"""What the stories about the whole program share: a folder, a Picket in it, and how a story ends."""
import contextlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import urllib.parse

ROOT = pathlib.Path(os.environ.get("PICKET_SOURCE", pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(ROOT / "demo"))
import backends  # noqa: E402

BINARY = pathlib.Path(os.environ.get("PICKET_BUILD", ROOT / "build/dev")) / "agent/picket"


def skip(reason):
    print("SKIPPED:", reason)
    sys.exit(77)


class Picket:
    """One agent and its configuration, which may change and be read again."""

    def __init__(self, folder, config):
        self.folder = pathlib.Path(folder)
        self.port = backends.free_port()
        self.path = self.folder / "picket.yml"
        self.configure(config)
        self.process = None

    def configure(self, config):
        config = dict(config)
        config["node"] = {"name": "story", "data_dir": str(self.folder / "data"), "listen": f"127.0.0.1:{self.port}", "shutdown_timeout": "5s",
                          **config.get("node", {})}
        config.setdefault("collectors", {}).setdefault("host", {"enabled": False})
        self.path.write_text(json.dumps(config, indent=1))

    def start(self):
        self.process = backends.Process("picket", [str(BINARY), "run", str(self.path)], self.folder)
        self.process.wait_for(f"http://127.0.0.1:{self.port}/-/ready", 60)
        return self

    def url(self, path, **parameters):
        return f"http://127.0.0.1:{self.port}{path}" + ("?" + urllib.parse.urlencode(parameters) if parameters else "")

    def get(self, path, **parameters):
        return json.loads(backends.get(self.url(path, **parameters), 10))

    def status(self):
        return self.get("/api/picket/v1/status")

    def queue(self, component):
        return [q for q in self.status()["queues"] if q["component"] == component]

    def log(self):
        return (self.folder / "picket.log").read_text(errors="replace")


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="picket-story-")
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def query(port, expr, **more):
    """Result of an instant query of a Prometheus."""
    reply = json.loads(backends.get(f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expr, **more}), 10))
    assert reply["status"] == "success", reply
    return reply["data"]["result"]
