// SPDX-License-Identifier: Apache-2.0
// The logs path alone, as a process that tests may kill: logs_agent FOLDER LOGS_YAML LOKI_YAML.
// Ends with SIGTERM.
#include <csignal>
#include <cstdio>

#include "collectors/logs/collector.h"
#include "core/config/object.h"
#include "exporters/loki/loki.h"

using namespace picket;

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto logs = config::FromYaml<collectors::logs::LogsConfig>(argv[2]);
  auto loki = config::FromYaml<exporters::loki::LokiConfig>(argv[3]);
  if (!logs || !loki) {
    std::fprintf(stderr, "%s\n", (logs ? loki.error() : logs.error()).ToString().c_str());
    return 2;
  }
  BalanceBook balances;
  net::Runtime runtime(1);
  collectors::logs::Environment env;
  env.balances = &balances;
  env.folder = argv[1];
  auto collector = collectors::logs::LogCollector::Make(env);
  if (!collector) {
    std::fprintf(stderr, "%s\n", collector.error().ToString().c_str());
    return 1;
  }
  auto exporter = std::make_shared<exporters::loki::LokiExporter>(
      runtime, *loki, exporters::loki::Environment{&SystemClock::Get(), &balances, nullptr});
  if (auto ok = (*collector)->ApplyConfig({*logs}, {{exporter->name(), exporter}}); !ok) {
    std::fprintf(stderr, "%s\n", ok.error().ToString().c_str());
    return 2;
  }
  int signal = 0;
  sigwait(&signals, &signal);
  (*collector)->Stop(std::chrono::seconds(10));
  exporter->Stop(std::chrono::seconds(5));
  for (const auto& b : balances.Read())
    std::printf("%s %s in=%lu out=%lu dropped=%lu queued=%ld\n", b.component.c_str(),
                b.instance.c_str(), b.in, b.out, b.dropped, b.queued());
  return 0;
}
