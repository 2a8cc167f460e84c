#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the parts (Google Benchmark), then the ends beside their peers: idle, scrape to remote write, log files to an endpoint, spans through. Arguments name what to run."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main() -> int:
    only = sys.argv[1:]
    failed = 0
    for program in sorted((ROOT / "build/bench/bench").glob("*_bench")):
        if not only or any(o in program.name for o in only):
            print(f"== {program.name}", flush=True)
            failed += subprocess.run([str(program), "--benchmark_counters_tabular=true"], cwd=ROOT).returncode != 0
    for script in ("e2e_idle.py", "e2e_scrape.py", "e2e_logs.py", "e2e_spans.py"):
        if not only or any(o in script for o in only):
            print(f"== {script}", flush=True)
            failed += subprocess.run([sys.executable, str(ROOT / "bench" / script)], cwd=ROOT).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
