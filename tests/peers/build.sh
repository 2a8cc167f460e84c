#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the real servers that the tests and the benchmarks talk to, once, into a cache outside the tree.
#   build.sh [NAME...]     default: every peer the tests need (prometheus promtool vmagent node_exporter loki tempo)
#                          for bench/ also: vlagent otelcol
# Needs Go; without Go it says so and exits 3, and the tests that need a peer report themselves skipped.
set -euo pipefail
root=${PICKET_PEERS:-$HOME/.cache/picket/peers}
bin=$root/bin
mkdir -p "$bin" "$root/build" "$root/log"
command -v go >/dev/null || { echo "peers: Go is not installed: skipping prometheus 3, vmagent, loki, tempo (any Go >= 1.21 will do)"; exit 3; }
export CGO_ENABLED=0 GOFLAGS="-p=2 -buildvcs=false -mod=mod"

# mod DIR MODULE VERSION [extra go mod edit arguments]: a module with the replace lines and sums of the one it builds,
# so that every download is verified.
mod() {
  local dir=$root/build/$1 module=$2 version=$3 src; shift 3
  mkdir -p "$dir"; cd "$dir"; rm -f go.mod go.sum
  src=$(go mod download -json "$module@$version" | jq -r .Dir)
  go mod init tools 2>/dev/null
  go mod edit -go="$(go mod edit -json "$src/go.mod" | jq -r .Go)" -require="$module@$version"
  go mod edit -json "$src/go.mod" | jq -r '.Replace[]? | select(.New.Version) |
    "-replace=\(.Old.Path)\(if .Old.Version then "@"+.Old.Version else "" end)=\(.New.Path)@\(.New.Version)"' | xargs -r go mod edit
  cp "$src/go.sum" go.sum; chmod u+w go.sum
  [ $# -eq 0 ] || go mod edit "$@"
}
# compile DIR PACKAGE BINARY [LDFLAGS] [TAGS]
compile() {
  cd "$root/build/$1"
  go build -trimpath ${5:+-tags "$5"} -ldflags "-s -w ${4:-}" -o "$bin/$3.tmp" "$2"
  mv "$bin/$3.tmp" "$bin/$3"
}

prom=github.com/prometheus/prometheus
vm=github.com/VictoriaMetrics/VictoriaMetrics
build_prometheus() { mod prometheus $prom v0.315.0
  compile prometheus $prom/cmd/prometheus prometheus "-X github.com/prometheus/common/version.Version=3.15.0" remove_all_sd,enable_kubernetes_sd; }
build_promtool() { mod promtool $prom v0.315.0
  compile promtool $prom/cmd/promtool promtool "-X github.com/prometheus/common/version.Version=3.15.0" remove_all_sd,enable_kubernetes_sd; }
build_vmagent() { mod vm $vm v1.150.0; compile vm $vm/app/vmagent vmagent "-X $vm/lib/buildinfo.Version=vmagent-v1.150.0"; }
build_node_exporter() { mod node_exporter github.com/prometheus/node_exporter v1.12.1
  compile node_exporter github.com/prometheus/node_exporter node_exporter; }
build_loki() {
  local push=github.com/grafana/loki/pkg/push
  mod loki github.com/grafana/loki/v3 v3.7.8 "-replace=$push=$push@v0.0.0-20250630054201-94c0ba7b0952"
  compile loki github.com/grafana/loki/v3/cmd/loki loki; }
build_tempo() {
  local dir=$root/build/tempo d v=v1.5.1-0.20250529124718-87c2dc380cec m=github.com/grafana/tempo
  mkdir -p "$dir"; cd "$dir"
  cat > go.mod <<MOD
module tools
go 1.24.3
require $m $v
replace (
  github.com/hashicorp/memberlist => github.com/grafana/memberlist v0.3.1-0.20220708130638-bd88e10a3d91
  k8s.io/api => k8s.io/api v0.25.0
  k8s.io/client-go => k8s.io/client-go v0.25.0
)
MOD
  # This version is in no checksum database; these sums were taken from a copy compared file by file with the commit.
  printf '%s\n' "$m $v h1:wnzJov9RhSHGaTYGzTygL4qq986fLen8xSqnQgaMd28=" \
    "$m $v/go.mod h1:j1IY7J2rUz7TcTjFVVx6HCpyTlYOJPtXuGRZ7sI+vSo=" > go.sum
  d=$(go mod download -json $m | jq -r .Dir); cat "$d/go.sum" >> go.sum
  compile tempo $m/cmd/tempo tempo; }
build_vlagent() {
  local dir=$root/build/vl; mkdir -p "$dir"; cd "$dir"
  printf 'module tools\ngo 1.26.6\nrequire (\n  github.com/VictoriaMetrics/VictoriaLogs v1.51.1-0.20260624061259-dc94972a8708\n  %s v1.150.0\n)\n' $vm > go.mod
  rm -f go.sum; local d; d=$(go mod download -json github.com/VictoriaMetrics/VictoriaLogs | jq -r .Dir); cp "$d/go.sum" go.sum; chmod u+w go.sum
  compile vl github.com/VictoriaMetrics/VictoriaLogs/app/vlagent vlagent; }
build_otelcol() {
  local dir=$root/build/otelcol core=go.opentelemetry.io/collector v=v0.158.0
  mkdir -p "$dir"; cd "$dir"; GOBIN=$dir go install $core/cmd/builder@$v
  { printf 'dist: {name: otelcol-peer, version: 0.158.0, output_path: ./out}\nreceivers:\n  - gomod: %s/receiver/otlpreceiver %s\n' $core $v
    printf 'processors:\n  - gomod: %s/processor/batchprocessor %s\nexporters:\n' $core $v
    for e in otlp otlphttp nop; do printf '  - gomod: %s/exporter/%sexporter %s\n' $core $e $v; done
    printf 'providers:\n'; for p in env file yaml; do printf '  - gomod: %s/confmap/provider/%sprovider v1.64.0\n' $core $p; done; } > manifest.yaml
  ./builder --config manifest.yaml --skip-compilation
  cd out; go build -trimpath -ldflags "-s -w" -o "$bin/otelcol.tmp" .; mv "$bin/otelcol.tmp" "$bin/otelcol"; }

[ $# -gt 0 ] || set -- node_exporter vmagent prometheus promtool tempo loki
failed=0
for name in "$@"; do
  [ -x "$bin/$name" ] && continue
  printf 'peers: building %s ... ' "$name"; start=$SECONDS
  if ( set -e; "build_$name" ) >"$root/log/$name.log" 2>&1; then echo "$((SECONDS - start)) s"
  else echo "failed, see $root/log/$name.log"; tail -n 3 "$root/log/$name.log"; failed=1; fi
done
exit $failed
