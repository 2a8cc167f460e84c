#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test: the unit binaries by ctest, then the stories with real servers (tests/real/*_test.py), one process each.

A story exits 0 (passed), 77 (skipped; its last line says why) or anything else (failed). With PICKET_REQUIRE_PEERS=1 a
skip is a failure. The closing line is "N passed, N failed, N skipped"."""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def units(build: pathlib.Path):
    result = subprocess.run(["ctest", "--test-dir", str(build), "--output-on-failure", "-j2"],
                            capture_output=True, text=True, errors="replace")
    passed = failed = 0
    skipped = []
    for line in result.stdout.splitlines():
        if re.search(r"\.\.\.+\s+Passed", line):
            passed += 1
        elif "***Skipped" in line:
            skipped.append(line.strip())
        elif "***" in line and re.match(r"\s*\d+/\d+ Test", line):
            failed += 1
    if failed or result.returncode != 0:
        # What the code under test logged is in the build folder, Testing/Temporary/LastTest.log.
        print("\n".join(l for l in result.stdout.splitlines() if not re.match(r"(\d+: )?ts=\d{4}-", l))[-20000:])
        failed = max(failed, 1)
    for line in skipped:
        print("skipped:", line)
    print(f"units: {passed} passed, {failed} failed, {len(skipped)} skipped", flush=True)
    return passed, failed, len(skipped)


def stories(build: pathlib.Path, only):
    passed = failed = skipped = 0
    environment = dict(os.environ, PICKET_BUILD=str(build), PICKET_SOURCE=str(ROOT), PYTHONPATH=str(ROOT / "tests"))
    for path in sorted((ROOT / "tests/real").glob("*_test.py")):
        if only and not any(o in path.name for o in only):
            continue
        start = time.monotonic()
        try:
            result = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, errors="replace",
                                    env=environment, cwd=ROOT, timeout=900)
            code, out = result.returncode, result.stdout + result.stderr
        except subprocess.TimeoutExpired as e:
            code, out = 1, (e.stdout or b"").decode(errors="replace") + "\ntimed out after 900 s"
        took = f"{time.monotonic() - start:.0f} s"
        last = next((l for l in reversed(out.splitlines()) if l.strip()), "no output")
        if code == 0:
            passed += 1
            print(f"{path.stem}: passed in {took}: {last}", flush=True)
        elif code == 77:
            required = os.environ.get("PICKET_REQUIRE_PEERS") == "1"
            skipped += not required
            failed += required
            print(f"{path.stem}: {'FAILED, a peer is required here' if required else 'skipped'}: {last}", flush=True)
        else:
            failed += 1
            print(f"{path.stem}: FAILED in {took}\n{out[-8000:]}", flush=True)
    return passed, failed, skipped


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--units-only", action="store_true")
    parser.add_argument("--stories-only", action="store_true")
    parser.add_argument("only", nargs="*", help="only stories whose name contains one of these")
    args = parser.parse_args()
    totals = [0, 0, 0]
    if not args.stories_only and not args.only:
        totals = [a + b for a, b in zip(totals, units(args.build.resolve()))]
    if not args.units_only:
        totals = [a + b for a, b in zip(totals, stories(args.build.resolve(), args.only))]
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main())
