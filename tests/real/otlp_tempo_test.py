#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Spans of the real SDK go through Picket to a real Tempo, over gRPC and over HTTP, and are read back by trace id."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from support.otlp_story import PEERS, Relay, free_ports, send, skip, under_sdk

CONFIG = """
usage_report: {{reporting_enabled: false}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {api}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {internal}, log_level: warn}}
distributor:
  receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}, http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}
ingester:
  lifecycler: {{address: 127.0.0.1, ring: {{kvstore: {{store: inmemory}}, replication_factor: 1}}}}
memberlist: {{bind_addr: [127.0.0.1], bind_port: {gossip}}}
storage: {{trace: {{backend: local, wal: {{path: {data}/wal}}, local: {{path: {data}/blocks}}}}}}
"""


class Tempo:
    def __init__(self):
        self.data = tempfile.mkdtemp(prefix="picket-tempo-")
        self.api, internal, self.grpc, self.http, gossip = free_ports(5)
        config = pathlib.Path(self.data) / "tempo.yaml"
        config.write_text(CONFIG.format(api=self.api, internal=internal, grpc=self.grpc, http=self.http, gossip=gossip,
                                        data=self.data))
        self.process = subprocess.Popen([PEERS / "tempo", f"-config.file={config}"], stdout=subprocess.DEVNULL,
                                        stderr=open(pathlib.Path(self.data) / "log", "w"))
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.api}/ready", timeout=5)
                return
            except OSError:
                assert self.process.poll() is None, "Tempo ended: " + (pathlib.Path(self.data) / "log").read_text()[-2000:]
                time.sleep(0.5)
        raise AssertionError("Tempo was not ready in time")

    def trace(self, trace_id):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.api}/api/traces/{trace_id}", timeout=20) as r:
                return json.load(r)
        except urllib.error.HTTPError as e:
            if e.code == 404:
                return None
            raise

    def close(self):
        # Its data is thrown away, so it need not write it out.
        self.process.kill()
        self.process.wait(timeout=60)
        shutil.rmtree(self.data, ignore_errors=True)


def spans_of(answer):
    import base64

    def ident(text, size):
        return text.lower() if len(text) == 2 * size else base64.b64decode(text).hex()
    out = {}
    for batch in (answer or {}).get("batches", []):
        for scope in batch.get("scopeSpans", []):
            for span in scope["spans"]:
                out[(ident(span["traceId"], 16), ident(span["spanId"], 8))] = span
    return out


def main():
    if not (PEERS / "tempo").exists():
        skip(f"no tempo in {PEERS}")
    under_sdk()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    tempo = Tempo()
    try:
        for endpoint in (f"127.0.0.1:{tempo.grpc}", f"http://127.0.0.1:{tempo.http}"):
            relay = Relay(endpoint)
            sent = send(OTLPSpanExporter(endpoint=f"127.0.0.1:{relay.grpc}", insecure=True), "story", 100)
            books = relay.wait(lambda b: b.get("exporters.otlp " + endpoint, {}).get("out") == len(sent))
            assert books["exporters.otlp " + endpoint]["dropped"] == 0, books
            got = {}
            for trace_id in sorted({trace for trace, _ in sent}):
                deadline = time.monotonic() + 60
                while len(found := spans_of(tempo.trace(trace_id))) < 2 and time.monotonic() < deadline:
                    time.sleep(0.2)
                got |= found
            assert set(got) == set(sent), f"{len(sent)} sent over {endpoint}, {len(got)} read back"
            for key, name in sent.items():
                span = got[key]
                assert span["name"] == name and int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) > 0, span
                if name == "GET /cart":
                    values = {a["key"]: a["value"] for a in span["attributes"]}
                    error = int(values["i"]["intValue"]) % 10 == 0
                    assert (span["status"].get("code") == "STATUS_CODE_ERROR") == error, span
                    assert [v["stringValue"] for v in values["list"]["arrayValue"]["values"]] == ["a", "b"], span
            relay.close()
    finally:
        tempo.close()
    print(f"{len(sent)} spans over gRPC and over HTTP read back from Tempo, equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
