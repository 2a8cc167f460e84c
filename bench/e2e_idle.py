#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An agent with nothing to do: size of its stripped binary, time from its start to the first yes of its ready page, and memory ten seconds
later. Picket watches its host and receives OTLP over gRPC and HTTP; the peers have empty configurations."""
import argparse
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "demo"))
import backends  # noqa: E402


def commands(args, folder):
    """(name, command, port, path)"""
    port, grpc, http_port = (backends.free_port() for _ in range(3))
    config = {"node": {"data_dir": str(folder / "picket"), "listen": f"127.0.0.1:{port}"}, "collectors": {"otlp": {
        "grpc": f"127.0.0.1:{grpc}", "http": f"127.0.0.1:{http_port}"}}}
    (folder / "picket.yml").write_text(json.dumps(config))
    result = [("picket", [args.picket, "run", str(folder / "picket.yml")], port, "/-/ready")]
    (folder / "empty.yml").write_text("global: {scrape_interval: 15s}\n")
    if vmagent := backends.find("vmagent"):
        port = backends.free_port()
        result.append(("vmagent", [vmagent, f"-promscrape.config={folder}/empty.yml", "-remoteWrite.url=http://127.0.0.1:1/", f"-remoteWrite.tmpDataPath={folder}/vm",
                                   f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR"], port, "/health"))
    if prometheus := backends.find("prometheus"):
        port = backends.free_port()
        result.append(("prometheus agent", [prometheus, "--agent", f"--config.file={folder}/empty.yml", f"--storage.agent.path={folder}/prom",
                                            f"--web.listen-address=127.0.0.1:{port}"], port, "/-/ready"))
    return result


def ready(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def measure(command, port, path, folder, seconds):
    begin = time.monotonic()
    process = backends.Process(pathlib.Path(command[0]).name, command, folder)
    try:
        while not ready(port, path):
            if time.monotonic() - begin > 20:
                raise RuntimeError(f"{command[0]} is not ready after 20 s")
            time.sleep(0.002)
        took = time.monotonic() - begin
        time.sleep(seconds)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        return took, *(int(status.split(k)[1].split()[0]) / 1024 for k in ("VmRSS:", "RssAnon:"))
    finally:
        process.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picket", default=str(ROOT / "build/release/agent/picket"))
    parser.add_argument("--starts", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for agent, command, port, path in commands(args, folder):
            stripped = folder / "stripped"
            subprocess.run(["strip", "-o", str(stripped), command[0]], check=True)
            times = [measure(command, port, path, folder, 0)[0] for _ in range(args.starts - 1)]
            took, rss, own = measure(command, port, path, folder, 10)
            times.append(took)
            print(f"{agent:18s} {stripped.stat().st_size / 1e6:6.1f} MB stripped, ready in {1e3 * statistics.median(times):5.0f} ms "
                  f"({1e3 * min(times):.0f} to {1e3 * max(times):.0f}), {rss:6.1f} MB RSS ({own:.1f} own)", flush=True)


if __name__ == "__main__":
    main()
