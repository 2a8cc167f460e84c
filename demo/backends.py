# SPDX-License-Identifier: Apache-2.0
"""The real backends that are on this machine, started on loopback and stopped by process id."""
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.request

PEERS = pathlib.Path(os.environ.get("PICKET_PEERS", pathlib.Path.home() / ".cache/picket/peers")) / "bin"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find(name, *more):
    """The path of a server's binary: built ones first, then Debian's."""
    for candidate in (PEERS / name, *map(shutil.which, (name, *more))):
        if candidate and os.access(candidate, os.X_OK):
            return str(candidate)
    return None


def get(url, timeout=3.0):
    with urllib.request.urlopen(url, timeout=timeout) as reply:
        return reply.read()


class Process:
    """A child that ends with the test or demo that started it."""

    def __init__(self, name, command, folder, env=None):
        self.name, self.command = name, command
        self.log = open(pathlib.Path(folder) / f"{name}.log", "ab")
        self.child = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, cwd=folder,
                                      env=dict(os.environ, **(env or {})))

    @property
    def pid(self):
        return self.child.pid

    def wait_for(self, url, seconds=60.0):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.child.returncode}, see {self.log.name}")
            try:
                get(url)
                return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not answer {url} within {seconds:.0f} s, see {self.log.name}")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self, seconds=10.0):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self.log.close()
        return self.child.returncode


def prometheus(folder, name="prometheus", binary=None):
    """(Process, port) of a Prometheus that takes remote write, or None."""
    binary = binary or find("prometheus")
    if not binary:
        return None
    folder = pathlib.Path(folder)
    port = free_port()
    (folder / f"{name}.yml").write_text("global: {scrape_interval: 1h}\n")
    process = Process(name, [binary, f"--config.file={name}.yml", f"--web.listen-address=127.0.0.1:{port}",
                             f"--storage.tsdb.path={folder}/{name}-data", "--web.enable-remote-write-receiver"], folder)
    return process, port


def loki(folder):
    binary = find("loki")
    if not binary:
        return None
    port, grpc, data = free_port(), free_port(), pathlib.Path(folder) / "loki-data"
    (pathlib.Path(folder) / "loki.yaml").write_text(f"""
auth_enabled: false
analytics: {{reporting_enabled: false}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: warn}}
common:
  instance_addr: 127.0.0.1
  path_prefix: {data}
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {data}/chunks, rules_directory: {data}/rules}}}}
schema_config:
  configs: [{{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}]
memberlist: {{bind_addr: [127.0.0.1], bind_port: {free_port()}}}
""")
    return Process("loki", [binary, "-config.file=loki.yaml"], folder), port


def tempo(folder):
    """(Process, http port, otlp grpc port, otlp http port) or None."""
    binary = find("tempo")
    if not binary:
        return None
    port, grpc, otlp_grpc, otlp_http = (free_port() for _ in range(4))
    data = pathlib.Path(folder) / "tempo-data"
    (pathlib.Path(folder) / "tempo.yaml").write_text(f"""
usage_report: {{reporting_enabled: false}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: warn}}
distributor: {{receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{otlp_grpc}"}}, http: {{endpoint: "127.0.0.1:{otlp_http}"}}}}}}}}}}
ingester: {{lifecycler: {{address: 127.0.0.1, ring: {{kvstore: {{store: inmemory}}, replication_factor: 1}}}}}}
memberlist: {{bind_addr: [127.0.0.1], bind_port: {free_port()}}}
storage: {{trace: {{backend: local, wal: {{path: {data}/wal}}, local: {{path: {data}/blocks}}}}}}
""")
    return Process("tempo", [binary, "-config.file=tempo.yaml"], folder), port, otlp_grpc, otlp_http


def alertmanager(folder):
    binary = find("alertmanager", "prometheus-alertmanager")
    if not binary:
        return None
    port = free_port()
    (pathlib.Path(folder) / "alertmanager.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    return Process("alertmanager", [binary, "--config.file=alertmanager.yml", "--cluster.listen-address=",
                                    f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder}/am-data"], folder), port
