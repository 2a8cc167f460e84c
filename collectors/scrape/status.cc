// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/status.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "core/base/strings.h"
#include "core/base/units.h"

namespace picket::collectors::scrape {
namespace {

std::string Rfc3339(UnixMs ms) {
  if (ms == 0) return "0001-01-01T00:00:00Z";
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<time_t>(ms / 1000)),
                     ms % 1000);
}

void Field(std::string& out, std::string_view name, std::string_view text) {
  out += fmt::format(",\"{}\":", name);
  AppendJsonQuoted(out, text);
}

}  // namespace

std::string_view HealthName(TargetStatus::Health health) {
  switch (health) {
    case TargetStatus::Health::kUp:
      return "up";
    case TargetStatus::Health::kDown:
      return "down";
    case TargetStatus::Health::kUnknown:
      break;
  }
  return "unknown";
}

void AppendTargetJson(std::string& out, const TargetStatus& status) {
  out += "{\"discoveredLabels\":" + status.discovered_labels.ToJson();
  out += ",\"labels\":" + status.labels.ToJson();
  Field(out, "scrapePool", status.job);
  Field(out, "scrapeUrl", status.url);
  Field(out, "globalUrl", status.url);
  Field(out, "lastError", status.last_error);
  Field(out, "lastScrape", Rfc3339(status.last_scrape_ms));
  out += fmt::format(",\"lastScrapeDuration\":{}",
                     static_cast<double>(status.last_duration.count()) / 1e9);
  Field(out, "health", HealthName(status.health));
  Field(out, "scrapeInterval", FormatDuration(status.interval));
  Field(out, "scrapeTimeout", FormatDuration(status.timeout));
  out += fmt::format(",\"samples\":{},\"series\":{},\"bodyBytes\":{}}}", status.samples,
                     status.series, status.body_bytes);
}

void AppendDroppedJson(std::string& out, const DroppedTarget& target) {
  out += "{\"discoveredLabels\":" + target.discovered_labels.ToJson();
  Field(out, "scrapePool", target.job);
  if (!target.error.empty()) Field(out, "error", target.error);
  out += "}";
}

}  // namespace picket::collectors::scrape
