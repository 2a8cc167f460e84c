#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every conformance program and prints its table: passed of total by file, and each failing case."""
import argparse
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("only", nargs="*")
    args = parser.parse_args()
    data = pathlib.Path(os.environ.get("PICKET_CONFORMANCE", ROOT.parent / "shared/conformance"))
    if not data.is_dir():
        print(f"SKIPPED: no conformance data at {data}; name its folder in PICKET_CONFORMANCE")
        return 0
    programs = sorted(p for p in (args.build / "tests").rglob("*_conformance") if p.is_file() and os.access(p, os.X_OK))
    failed = 0
    for program in programs:
        if args.only and not any(o in program.name for o in args.only):
            continue
        print(f"== {program.name}", flush=True)
        code = subprocess.run([str(program.resolve())], cwd=ROOT, env=dict(os.environ, PICKET_CONFORMANCE=str(data))).returncode
        failed += code not in (0, 77)
    print(f"conformance: {len(programs)} programs, {failed} failed")
    return 1 if failed or not programs else 0


if __name__ == "__main__":
    sys.exit(main())
