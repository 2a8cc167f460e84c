// SPDX-License-Identifier: Apache-2.0
#include "rules/slo/config.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "core/config/node.h"
#include "rules/promql/parser.h"

namespace picket::rules::slo {
namespace {

void CheckSelector(const std::string& key, const std::string& text, config::Reporter& r) {
  if (text.empty()) return;
  if (auto parsed = promql::ParseSelector(text); !parsed)
    r.Error(key, parsed.error().ToString(),
            "Write a series selector of a counter, for example http_requests_total{job=\"shop\"}.");
}

}  // namespace

double SloConfig::Budget() const { return std::round((100 - objective) * 1e10) / 1e12; }

void Declare(config::Object<RatioIndicator>& o) {
  o.Doc("Good events among all, from two counters.");
  o.Field("total", &RatioIndicator::total, "Counter of all events: a series selector.")
      .Required()
      .NonEmpty()
      .NoExpand();
  o.Field("errors", &RatioIndicator::errors, "Counter of the bad ones among them; or give good.")
      .NoExpand();
  o.Field("good", &RatioIndicator::good, "Counter of the good ones among them; or give errors.")
      .NoExpand();
  o.Check([](const RatioIndicator& c, config::Reporter& r) {
    CheckSelector("total", c.total, r);
    CheckSelector("errors", c.errors, r);
    CheckSelector("good", c.good, r);
    if (c.errors.empty() == c.good.empty())
      r.Error("total", "exactly one of errors and good must be set",
              "Say which events are bad, or which are good.");
  });
}

void Declare(config::Object<LatencyIndicator>& o) {
  o.Doc("Requests faster than a bound, from a classic histogram.");
  o.Field("histogram", &LatencyIndicator::histogram, "Selector of the histogram without _bucket.")
      .Required()
      .NonEmpty()
      .NoExpand()
      .Example("http_request_duration_seconds{job=\"shop\"}");
  o.Field("threshold", &LatencyIndicator::threshold,
          "Seconds; the upper bound of one of its buckets.")
      .Required();
  o.Check([](const LatencyIndicator& c, config::Reporter& r) {
    CheckSelector("histogram", c.histogram, r);
    if (auto m = promql::Parse(c.histogram); m && promql::Selectors(**m).at(0).metric_name.empty())
      r.Error("histogram", "names no metric", "Begin the selector with the histogram's name.");
    if (c.threshold <= 0) r.Error("threshold", "must be above 0");
  });
}

void Declare(config::Object<IndicatorConfig>& o) {
  o.Doc("What counts as good.");
  o.Field("ratio", &IndicatorConfig::ratio, "Good events among all.");
  o.Field("latency", &IndicatorConfig::latency, "Requests faster than a bound.");
  o.Check([](const IndicatorConfig& c, config::Reporter& r) {
    if (c.ratio.has_value() == c.latency.has_value())
      r.Error("", "exactly one of ratio and latency must be set", "Give one indicator.");
  });
}

void Declare(config::Object<AlertingConfig>& o) {
  o.Doc("The four multi-window, multi-burn-rate alerts of the objective.");
  o.Field("name", &AlertingConfig::name, "Of the alerts.").NonEmpty().NoExpand();
  o.Field("page", &AlertingConfig::page, "Burn rates 14.4 over 1h and 5m, and 6 over 6h and 30m.");
  o.Field("ticket", &AlertingConfig::ticket, "Burn rates 3 over 1d and 2h, and 1 over 3d and 6h.");
  o.Field("labels", &AlertingConfig::labels, "On every alert.").NoExpand();
  o.Field("page_labels", &AlertingConfig::page_labels, "On pages.").NoExpand();
  o.Field("ticket_labels", &AlertingConfig::ticket_labels, "On tickets.").NoExpand();
  o.Field("annotations", &AlertingConfig::annotations,
          "Beside the summary that is there by itself.")
      .NoExpand();
}

void Declare(config::Object<SloConfig>& o) {
  o.Doc("A service level objective.");
  o.Field("name", &SloConfig::name, "Unique within its service.").Required().NonEmpty().NoExpand();
  o.Field("service", &SloConfig::service, "The service it belongs to.").NoExpand();
  o.Field("description", &SloConfig::description, "For people.").NoExpand();
  o.Field("objective", &SloConfig::objective, "Percent of events that must be good.")
      .Required()
      .Example("99.9");
  o.Field("window", &SloConfig::window, "Rolling period of the error budget.")
      .Min(std::chrono::hours(1))
      .Max(std::chrono::hours(366 * 24));
  o.Field("indicator", &SloConfig::indicator, "What counts as good.").Required();
  o.Field("labels", &SloConfig::labels, "On every series of the objective.").NoExpand();
  o.Field("alerting", &SloConfig::alerting, "Its alerts.");
  o.Check([](const SloConfig& c, config::Reporter& r) {
    if (!(c.objective > 0 && c.objective < 100))
      r.Error("objective", "must be above 0 and below 100 percent",
              "99.9 means one event in a thousand may be bad.");
  });
}

void Declare(config::Object<SloFileConfig>& o) {
  o.Doc("A file of objectives.");
  o.Field("slos", &SloFileConfig::slos, "Objectives.");
  o.AllowExtensions();
  o.Check([](const SloFileConfig& c, config::Reporter& r) {
    std::set<std::string> ids;
    for (size_t i = 0; i < c.slos.size(); ++i)
      if (!ids.insert(c.slos[i].Id()).second)
        r.Error(fmt::format("slos[{}].name", i),
                fmt::format("the objective \"{}\" is there twice", c.slos[i].Id()),
                "Rename one of them.");
  });
}

Result<std::vector<SloConfig>> LoadSloFile(const std::string& path,
                                           config::Diagnostics& diagnostics) {
  PICKET_ASSIGN(const auto source, config::ReadSource(path));
  SloFileConfig file;
  if (const auto node = config::ParseYaml(source, diagnostics))
    config::Load(*node, file, diagnostics);
  return std::move(file.slos);
}

}  // namespace picket::rules::slo
