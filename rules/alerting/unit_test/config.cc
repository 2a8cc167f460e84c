// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/unit_test/config.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>

namespace picket::rules::alerting::unit_test {
namespace {

std::optional<double> Number(std::string_view text) {
  double v = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || ec != std::errc() || end != text.data() + text.size()) return {};
  return v;
}

std::optional<UnixMs> Rfc3339(const std::string& text) {
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0, used = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2d%*1[Tt]%2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &s,
                  &used) != 6 ||
      used == 0)
    return {};
  using namespace std::chrono;
  const year_month_day date(year(y), month(static_cast<unsigned>(mo)),
                            day(static_cast<unsigned>(d)));
  if (!date.ok() || h > 23 || mi > 59 || s > 59) return {};
  std::string_view rest = std::string_view(text).substr(static_cast<size_t>(used));
  double fraction = 0;
  if (rest.starts_with('.')) {
    const size_t end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
    fraction = Number("0" + std::string(rest.substr(0, end))).value_or(0);
    rest.remove_prefix(end);
  }
  int64_t zone = 0;
  if (rest != "Z" && rest != "z") {
    int zh = 0, zm = 0;
    if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') ||
        std::sscanf(std::string(rest.substr(1)).c_str(), "%2d:%2d", &zh, &zm) != 2)
      return {};
    zone = (rest[0] == '-' ? -1 : 1) * (zh * 3600 + zm * 60);
  }
  const int64_t seconds =
      sys_days(date).time_since_epoch().count() * int64_t{86'400} + h * 3600 + mi * 60 + s - zone;
  return seconds * 1000 + static_cast<int64_t>(std::llround(fraction * 1000));
}

}  // namespace

Result<UnixMs> ParseStart(const std::string& text) {
  if (text.empty()) return UnixMs{0};
  if (const auto seconds = Number(text); seconds && std::fabs(*seconds) < 9e15)
    return static_cast<UnixMs>(std::llround(*seconds * 1000));
  if (const auto ms = Rfc3339(text)) return *ms;
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("\"{}\" is neither Unix seconds nor an RFC 3339 time", text));
}

Result<double> ParseNumber(const std::string& written) {
  if (written.empty()) return 0.0;
  std::string text = written;
  std::erase(text, '_');  // digits may be grouped
  std::string_view rest = text;
  const bool minus = rest.starts_with('-');
  if (minus || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == ".inf" || rest == ".Inf" || rest == ".INF")
    return minus ? -std::numeric_limits<double>::infinity()
                 : std::numeric_limits<double>::infinity();
  if (text == ".nan" || text == ".NaN" || text == ".NAN")
    return std::numeric_limits<double>::quiet_NaN();
  if (rest.starts_with("0x") || rest.starts_with("0o") || rest.starts_with("0b")) {
    const int base = rest[1] == 'x' ? 16 : rest[1] == 'o' ? 8 : 2;
    uint64_t v = 0;
    const auto [end, ec] = std::from_chars(rest.data() + 2, rest.data() + rest.size(), v, base);
    if (rest.size() > 2 && ec == std::errc() && end == rest.data() + rest.size())
      return minus ? -static_cast<double>(v) : static_cast<double>(v);
  }
  if (const auto v = Number(text); v && std::isfinite(*v)) return *v;
  return Fail(ErrorKind::kInvalidArgument, fmt::format("\"{}\" is not a number", written));
}

void Declare(config::Object<InputSeries>& o) {
  o.Doc("A series that the rules read.");
  o.Field("series", &InputSeries::series, "Name and labels.").NoExpand();
  o.Field("values", &InputSeries::values, "Its samples: 1 2+3x4 _ stale.").NoExpand();
}

void Declare(config::Object<ExpectedAlert>& o) {
  o.Doc("An alert that fires.");
  o.Field("exp_labels", &ExpectedAlert::labels, "Its labels without alertname.").NoExpand();
  o.Field("exp_annotations", &ExpectedAlert::annotations, "Its annotations, expanded.").NoExpand();
}

void Declare(config::Object<AlertCase>& o) {
  o.Doc("Which alerts of a name fire at a time.");
  o.Field("eval_time", &AlertCase::eval_time, "After the start.");
  o.Field("alertname", &AlertCase::alertname, "The alert's name.").NoExpand();
  o.Field("exp_alerts", &AlertCase::expected, "All that fire; none when it is empty.");
  o.Check([](const AlertCase& c, config::Reporter& r) {
    if (c.alertname.empty())
      r.Error("alertname", "an item under alert_rule_test misses required attribute alertname",
              "Name the alert it looks at.");
  });
}

void Declare(config::Object<ExpectedSample>& o) {
  o.Doc("A sample of a result.");
  o.Field("labels", &ExpectedSample::labels, "Name and labels, as a series is written.")
      .DefaultText("{}")
      .NoExpand();
  o.Field("value", &ExpectedSample::value, "Its value.").DefaultText("0").NoExpand();
  o.Field("histogram", &ExpectedSample::histogram, "Its native histogram: {{sum:1 count:2}}.")
      .NoExpand();
  o.Check([](const ExpectedSample& c, config::Reporter& r) {
    if (const auto v = ParseNumber(c.value); !v) r.Error("value", v.error().message());
  });
}

void Declare(config::Object<ExpressionCase>& o) {
  o.Doc("What an expression gives at a time.");
  o.Field("expr", &ExpressionCase::expr, "PromQL.").NoExpand();
  o.Field("eval_time", &ExpressionCase::eval_time, "After the start.");
  o.Field("exp_samples", &ExpressionCase::expected, "The whole result.");
}

void Declare(config::Object<TestConfig>& o) {
  o.Doc("Input, and what the rules make of it.");
  o.Field("name", &TestConfig::name, "For people, and to select tests.").NoExpand();
  o.Field("interval", &TestConfig::interval, "Time between two samples of the input.")
      .DefaultText("evaluation_interval");
  o.Field("start_timestamp", &TestConfig::start_timestamp, "Time of the first sample.")
      .DefaultText("0")
      .NoExpand();
  o.Field("input_series", &TestConfig::input_series, "The input.");
  o.Field("alert_rule_test", &TestConfig::alerts, "Looks at alerts.");
  o.Field("promql_expr_test", &TestConfig::expressions, "Looks at results of expressions.");
  o.Field("external_labels", &TestConfig::external_labels, "What $externalLabels shows.")
      .NoExpand();
  o.Field("external_url", &TestConfig::external_url, "What $externalURL shows.").NoExpand();
  o.Check([](const TestConfig& c, config::Reporter& r) {
    if (const auto t = ParseStart(c.start_timestamp); !t)
      r.Error("start_timestamp", t.error().message());
  });
}

void Declare(config::Object<FileConfig>& o) {
  o.Doc("Unit tests of rule files.");
  o.Field("rule_files", &FileConfig::rule_files, "Rule files to load; globs.").Path();
  o.Field("evaluation_interval", &FileConfig::evaluation_interval,
          "Time between two evaluations of every group.");
  o.Field("group_eval_order", &FileConfig::group_eval_order,
          "Groups in the order they are evaluated; those not listed come with the first.")
      .NoExpand();
  o.Field("fuzzy_compare", &FileConfig::fuzzy_compare, "Values may differ in the last bit.");
  o.Field("tests", &FileConfig::tests, "The tests.");
  o.Check([](const FileConfig& c, config::Reporter& r) {
    std::set<std::string> seen;
    for (size_t i = 0; i < c.group_eval_order.size(); ++i)
      if (!seen.insert(c.group_eval_order[i]).second)
        r.Error(fmt::format("group_eval_order[{}]", i),
                fmt::format("group name repeated in evaluation order: {}", c.group_eval_order[i]));
  });
}

}  // namespace picket::rules::alerting::unit_test
