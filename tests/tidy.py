#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over the project's sources in parallel; a source whose preprocessed dependencies did not change since its
last clean run is not looked at again, from whichever folder (the stamps are in ~/.cache/picket/tidy)."""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def key(entry, config) -> str:
    """A digest of the source, every header of ours it includes, transitively, and the checks."""
    seen, stack = set(), [pathlib.Path(entry["file"])]
    digest = hashlib.sha256(config + entry.get("command", "").replace(str(ROOT), ".").encode())
    while stack:
        path = stack.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        text = path.read_bytes()
        digest.update(text)
        for name in re.findall(rb'#\s*include\s+"([^"]+)"', text):
            stack.append(ROOT / name.decode())
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("only", nargs="*", help="look only at sources whose path contains one of these")
    args = parser.parse_args()
    config = (ROOT / ".clang-tidy").read_bytes()
    entries = json.loads((args.build / "compile_commands.json").read_text())
    rooms = tuple(str(ROOT / r) + "/" for r in ("core", "collectors", "store", "rules", "exporters", "agent"))
    entries = [e for e in entries if e["file"].startswith(rooms)]
    if args.only:
        entries = [e for e in entries if any(o in e["file"] for o in args.only)]
    cache = pathlib.Path.home() / ".cache/picket/tidy"
    cache.mkdir(parents=True, exist_ok=True)

    def run(entry):
        stamp = cache / key(entry, config)
        if stamp.exists():
            return entry, 0, "", True
        result = subprocess.run(["clang-tidy-19", "--quiet", "-p", str(args.build), entry["file"]],
                                capture_output=True, text=True)
        if result.returncode == 0:
            stamp.touch()
        return entry, result.returncode, result.stdout, False

    failed = cached = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for entry, code, out, hit in pool.map(run, entries):
            cached += hit
            if code != 0:
                failed += 1
                print(out, flush=True)
    print(f"clang-tidy: {len(entries)} sources, {cached} unchanged since a clean run, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
