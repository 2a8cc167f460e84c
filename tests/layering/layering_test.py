#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the arrows of the house by #include: a room may include only what DESIGN allows, vendor headers stay in the
folder that owns them, and heavy headers stay out of headers. Exit 1 and one line for each wrong arrow."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE_ORDER = ["base", "model", "proto", "budget", "config", "relabel", "net", "spool", "kube"]
ROOMS = {"core", "collectors", "store", "rules", "exporters", "agent"}
# vendor header prefix -> folders that may include it ("*" any); others never
VENDOR = {
    "yaml-cpp/": {"core/config"},
    "CLI/": {"agent/cli"},
    "grpcpp/": {"collectors/otlp", "exporters/otlp", "core/grpc"},
    "grpc/": {"collectors/otlp", "exporters/otlp", "core/grpc"},
    "spdlog/": {"core/base"},
    "prometheus/": {"agent/telemetry"},
    "openssl/": {"core/net", "core/relabel", "exporters/signals", "agent/api"},
    "boost/beast": {"core/net"},
    "ares.h": {"collectors/discovery"},
    "snappy": {"exporters/remote_write", "exporters/loki"},
    "simdjson": {"collectors/logs", "collectors/otlp", "collectors/discovery", "exporters/loki", "exporters/signals"},
}
# Headers private to their folder that wrap a vendor's, and are included by few .cc files.
WRAPPERS = {"collectors/otlp/grpc_call.h", "collectors/otlp/json_value.h"}
HEAVY_IN_HEADER = ("boost/beast", "CLI/", "grpcpp/", "yaml-cpp/", "spdlog/", "boost/asio.hpp", "simdjson")


def folder(path: pathlib.PurePath) -> str:
    return "/".join(path.parts[:2])


def allowed(src: str, dst: str) -> bool:
    if src == dst:
        return True
    a, b = src.split("/")[0], dst.split("/")[0]
    if a == "agent":
        return True
    if b == "core":
        if a != "core":
            return True
        s, d = src.split("/")[1], dst.split("/")[1]
        return s in CORE_ORDER and d in CORE_ORDER and CORE_ORDER.index(d) < CORE_ORDER.index(s)
    if a == "rules":
        return b == "store" or dst == "rules/promql"
    if src == "collectors/scrape":
        return dst == "collectors/discovery"  # where targets come from, as a small interface
    return False


def main() -> int:
    errors = []
    files = [p for room in ROOMS for p in (ROOT / room).rglob("*") if p.suffix in (".h", ".cc")]
    for path in sorted(files):
        rel = path.relative_to(ROOT)
        src = folder(rel)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            quote, target = match.groups()
            where = f"{rel}:{number}"
            if quote == '"' and target.split("/")[0] in ROOMS:
                if not allowed(src, folder(pathlib.PurePosixPath(target))):
                    errors.append(f"{where}: {src} may not include {target}: arrows point one way; share through core/model")
            elif quote == '"' and "/" not in target:
                errors.append(f"{where}: include \"{target}\" absolute from the root")
            for prefix, owners in VENDOR.items():
                if target.startswith(prefix) and src not in owners:
                    errors.append(f"{where}: {target} belongs to {', '.join(sorted(owners))}")
            if path.suffix == ".h" and str(rel) not in WRAPPERS and target.startswith(HEAVY_IN_HEADER):
                errors.append(f"{where}: {target} is heavy: keep it in a .cc file")
    for error in errors:
        print(error)
    print(f"layering: {len(files)} files, {len(errors)} wrong arrows")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
