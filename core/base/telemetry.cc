// SPDX-License-Identifier: Apache-2.0
#include "core/base/telemetry.h"

#include <algorithm>
#include <cstring>

namespace picket {

std::shared_ptr<Counter> Telemetry::AddCounter(const MetricRow& row, TelemetryLabels labels) {
  std::lock_guard lock(mutex_);
  for (const Entry& e : entries_)
    if (auto c = e.counter.lock();
        c && e.labels == labels && std::strcmp(e.row.name, row.name) == 0)
      return c;
  auto counter = std::make_shared<Counter>();
  entries_.push_back({row, std::move(labels), counter, {}, {}, counter});
  return counter;
}

std::shared_ptr<Gauge> Telemetry::AddGauge(const MetricRow& row, TelemetryLabels labels) {
  std::lock_guard lock(mutex_);
  for (const Entry& e : entries_)
    if (auto g = e.gauge.lock(); g && e.labels == labels && std::strcmp(e.row.name, row.name) == 0)
      return g;
  auto gauge = std::make_shared<Gauge>();
  entries_.push_back({row, std::move(labels), {}, gauge, {}, gauge});
  return gauge;
}

std::shared_ptr<void> Telemetry::AddCallback(const MetricRow& row, TelemetryLabels labels,
                                             std::function<double()> read) {
  auto holder = std::make_shared<std::function<double()>>(std::move(read));
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [](const Entry& e) { return !e.keep && e.read.expired(); });
  entries_.push_back({row, std::move(labels), {}, {}, holder, nullptr});
  return holder;
}

std::vector<Telemetry::Family> Telemetry::Collect() const {
  std::lock_guard lock(mutex_);
  std::vector<Family> families;
  for (const Entry& e : entries_) {
    double value = 0;
    if (auto c = e.counter.lock())
      value = static_cast<double>(c->Value());
    else if (auto g = e.gauge.lock())
      value = g->Value();
    else if (auto r = e.read.lock())
      value = (*r)();
    else
      continue;
    auto it = std::find_if(families.begin(), families.end(),
                           [&](const Family& f) { return f.name == e.row.name; });
    if (it == families.end()) {
      families.push_back({e.row.kind, e.row.name, e.row.help, {}});
      it = std::prev(families.end());
    }
    it->samples.push_back({e.labels, value});
  }
  return families;
}

}  // namespace picket
