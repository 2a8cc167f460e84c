#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The host collectors beside the real node_exporter on the same machine at the same moment: names and labels are equal,
values that stand still are equal, and those that move lie between two readings of node_exporter's."""
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.request

PEERS = pathlib.Path(os.environ.get("PICKET_PEERS", pathlib.Path.home() / ".cache/picket/peers")) / "bin"
BUILD = pathlib.Path(os.environ.get("PICKET_BUILD", "build/dev"))
OURS = re.compile(r"^(node_(cpu_(seconds|guest_seconds|core_throttles|package_throttles)_total|cpu_isolated|memory_(?!numa)|load\d|disk_|filesystem_"
                  r"|network_|boot_time|context_switches|forks|intr_total|procs_|uname|pressure_|arp_|bonding_|nf_conntrack_|dmi_|entropy_|filefd_|kernel_hung_"
                  r"|hwmon_|power_supply_|cpu_(scaling|frequency)_|edac_|md_|nvme_|rapl_|thermal_zone_|cooling_device_|watchdog_|xfs_|textfile_"
                  r"|netstat_|os_|schedstat_|selinux_|sockstat_|softnet_|time_|timex_|udp_queues|vmstat_|scrape_collector_success))")
# Gauges that go both ways; a counter must lie between two readings.
MOVING = re.compile(r"^node_(memory_|load|procs_|filesystem_(free|avail|files)|disk_io_now|arp_|entropy_available|filefd_allocated|netstat_Tcp_CurrEstab|nf_conntrack_entries$"
                    r"|sockstat_|softnet_backlog|timex_|udp_queues|hwmon_|cpu_(scaling|frequency)|thermal_zone|cooling_device)")
# Fields of /proc/meminfo that this version of node_exporter leaves out.
EXTRA = re.compile(r"^node_memory_")
# Collectors that Picket does not have yet tell that they succeeded, which is all that is seen of them here.
MISSING = re.compile(r"^(bcache|bcachefs|btrfs|dmmultipath|fibrechannel|infiniband|ipvs|nfs|nfsd|tapestats|zfs)$")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def parse(text):
    out = {}
    for line in text.splitlines():
        if line.startswith("#") or not OURS.match(line):
            continue
        name, value = line.rsplit(" ", 1)
        series, _, labels = name.partition("{")
        # An empty label is an absent one.
        pairs = sorted((k, v) for k, v in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels) if v)
        out[(series, tuple(pairs))] = float(value)
    return out


def fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as r:
        return parse(r.read().decode())


def main():
    peer = PEERS / "node_exporter"
    if not peer.exists():
        print(f"SKIPPED: no node_exporter 1.12 at {peer}; `./dev peers node_exporter` builds it (Debian's is older and has other defaults)")
        return 77
    dump = BUILD / "tests/collectors/host/host_conformance"
    if not dump.exists():
        print("SKIPPED: host_conformance is not built in", BUILD)
        return 77
    port = free_port()
    process = subprocess.Popen([str(peer), f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                before = fetch(port)
                break
            except OSError:
                if time.monotonic() > deadline:
                    print("node_exporter did not answer")
                    return 1
                time.sleep(0.05)
        ours = parse(subprocess.run([str(dump), "--dump"], capture_output=True, text=True, check=True).stdout)
        after = fetch(port)
    finally:
        process.terminate()
        process.wait()
    failures = []
    compared = equal = 0
    for series, first in before.items():
        last = after.get(series)
        if last is None:
            continue  # a device or mount that went meanwhile
        if series[0] == "node_scrape_collector_success" and MISSING.match(series[1][0][1]):
            continue
        if series not in ours:
            failures.append(f"missing {series}")
            continue
        compared += 1
        value = ours[series]
        if first == last:
            equal += value == first
        if MOVING.match(series[0]):
            if first == last and value != first and abs(value - first) > 0.2 * max(abs(first), 1e6):
                failures.append(f"{series}: {value}, node_exporter has {first}")
        elif not (min(first, last) - 1e-6 * abs(first) <= value <= max(first, last) + 1e-6 * abs(last)):
            failures.append(f"{series}: {value} is not between {first} and {last}")
    for series in ours:
        if series not in before and series not in after and not EXTRA.match(series[0]):
            failures.append(f"not in node_exporter: {series}")
    for failure in failures:
        print("FAIL", failure)
    print(f"{compared} series of node_exporter compared, {equal} of them equal to the digit, {len(failures)} failures")
    return 1 if failures or compared < 50 else 0


sys.exit(main())
