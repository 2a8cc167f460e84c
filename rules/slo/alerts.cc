// SPDX-License-Identifier: Apache-2.0
#include "rules/slo/alerts.h"

#include <fmt/format.h>

#include <cmath>

#include "core/base/strings.h"

namespace picket::rules::slo {
namespace {

struct Tier {
  const char* long_window;
  const char* short_window;
  double hours;           // of the long window
  double budget_percent;  // spent in it when the alert fires
  bool page;
};
constexpr Tier kTiers[] = {{"1h", "5m", 1, 2, true},
                           {"6h", "30m", 6, 5, true},
                           {"1d", "2h", 24, 10, false},
                           {"3d", "6h", 72, 10, false}};

// Without the noise of binary products: 0.0144 and not 0.014400000000000001.
double Rounded(double v) { return std::round(v * 1e12) / 1e12; }

}  // namespace

std::vector<BurnAlert> BurnAlerts(const SloConfig& slo) {
  std::vector<BurnAlert> out;
  const double period_hours = static_cast<double>(slo.window.count()) / 3'600'000;
  for (const Tier& t : kTiers) {
    if (t.page ? !slo.alerting.page : !slo.alerting.ticket) continue;
    const double factor = Rounded(period_hours * t.budget_percent / 100 / t.hours);
    // An error ratio never exceeds 1, so an alert above that could not fire.
    if (factor * slo.Budget() >= 1) continue;
    BurnAlert a;
    a.name = slo.alerting.name;
    auto side = [&](const char* window) {
      return fmt::format("slo:sli_error:ratio_rate{}{{sloth_id={}}} > {}", window,
                         JsonQuote(slo.Id()), FormatFloat(Rounded(factor * slo.Budget())));
    };
    a.expr = fmt::format("({}) and ignoring (sloth_window) ({})", side(t.long_window),
                         side(t.short_window));
    a.labels = slo.labels;
    for (const auto& [k, v] : slo.alerting.labels) a.labels[k] = v;
    for (const auto& [k, v] : t.page ? slo.alerting.page_labels : slo.alerting.ticket_labels)
      a.labels[k] = v;
    a.labels["sloth_severity"] = t.page ? "page" : "ticket";
    a.labels["slo_window"] = t.long_window;
    a.annotations = slo.alerting.annotations;
    a.annotations.try_emplace("summary",
                              fmt::format("{} burns its error budget {}x too fast over {}: {{{{ "
                                          "$value | humanizePercentage }}}} of events are bad",
                                          slo.Id(), FormatFloat(factor), t.long_window));
    out.push_back(std::move(a));
  }
  return out;
}

}  // namespace picket::rules::slo
