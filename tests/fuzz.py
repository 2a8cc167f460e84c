#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs each libFuzzer target for some seconds on its corpus; new inputs go to a folder outside the tree."""
import argparse
import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("only", nargs="*")
    args = parser.parse_args()
    targets = sorted(p for p in (args.build / "fuzz").glob("fuzz_*") if p.is_file())
    if args.only:
        targets = [t for t in targets if any(o in t.name for o in args.only)]
    if not targets:
        print("fuzz: no targets were built")
        return 1

    def run(target):
        name = target.name.removeprefix("fuzz_")
        seeds = ROOT / "tests/data/fuzz" / name
        grown = pathlib.Path.home() / ".cache/picket/fuzz" / name
        grown.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as crash:
            command = [str(target), str(grown)] + ([str(seeds)] if seeds.is_dir() else [])
            command += [f"-max_total_time={args.seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=65536",
                        f"-artifact_prefix={crash}/", "-print_final_stats=1", "-close_fd_mask=1"]
            result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, errors="replace")
            kept = []
            if result.returncode != 0:
                keep = args.build / "crashes" / name
                keep.mkdir(parents=True, exist_ok=True)
                for f in pathlib.Path(crash).iterdir():
                    f.rename(keep / f.name)
                    kept.append(str(keep / f.name))
        runs = next((l.split()[-1] for l in result.stderr.splitlines() if "number_of_executed_units" in l), "?")
        return name, result, runs, kept

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, result, runs, kept in pool.map(run, targets):
            print(f"fuzz {name}: {'ok' if result.returncode == 0 else 'FAILED'}, {runs} runs", flush=True)
            if result.returncode != 0:
                failed += 1
                print("\n".join(result.stderr.splitlines()[-40:]))
                print("input kept:", *kept)
    print(f"fuzz: {len(targets)} targets, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
