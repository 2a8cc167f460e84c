// SPDX-License-Identifier: Apache-2.0
#include "agent/api/rules_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>

#include "agent/api/json.h"
#include "core/base/hash.h"
#include "rules/promql/parser.h"

namespace picket::agent {
namespace {

using rules::alerting::Alert;
using rules::alerting::GroupStatus;
using rules::alerting::RuleHealth;
using rules::alerting::RuleStatus;

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
double Seconds(Milliseconds d) { return static_cast<double>(d.count()) / 1000; }

void AppendMap(Json& j, const std::map<std::string, std::string>& map) {
  j.Open('{');
  for (const auto& [k, v] : map) j.Field(k, v);
  j.Close('}');
}

/// Prometheus gives alert values always with an exponent.
std::string AlertValue(double v) {
  if (!std::isfinite(v)) return FormatFloat(v);
  return fmt::format("{:e}", v).find("e") == std::string::npos ? FormatFloat(v) : [&] {
    char buffer[64];
    auto r = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific);
    return std::string(buffer, r.ptr);
  }();
}

void AppendAlert(Json& j, const Alert& a) {
  j.Open('{');
  j.Key("labels").Raw(a.labels.ToJson());
  j.Key("annotations").Raw(a.annotations.ToJson());
  j.Field("state", rules::alerting::AlertStateName(a.state));
  j.Field("activeAt", FormatTime(a.active_ms));
  if (a.keep_firing_since_ms != 0) j.Field("keepFiringSince", FormatTime(a.keep_firing_since_ms));
  j.Field("value", AlertValue(a.value));
  j.Close('}');
}

void AppendRule(Json& j, const RuleStatus& r, bool with_alerts) {
  j.Open('{');
  if (r.alerting)
    j.Field("state", r.health == RuleHealth::kUnknown ? "unknown"
                                                      : rules::alerting::AlertStateName(r.state));
  j.Field("name", r.name).Field("query", r.query);
  if (r.alerting)
    j.Field("duration", Seconds(r.hold)).Field("keepFiringFor", Seconds(r.keep_firing_for));
  AppendMap(j.Key("labels"), r.labels);
  if (r.alerting) {
    AppendMap(j.Key("annotations"), r.annotations);
    j.Key("alerts");
    if (!with_alerts) {
      j.Raw("null");
    } else {
      j.Open('[');
      for (const Alert& a : r.alerts) AppendAlert(j, a);
      j.Close(']');
    }
  }
  j.Field("health", HealthText(r.health));
  if (!r.last_error.empty()) j.Field("lastError", r.last_error);
  j.Field("evaluationTime", Seconds(r.evaluation_time))
      .Field("lastEvaluation", FormatTime(r.last_evaluation_ms));
  j.Field("type", r.alerting ? "alerting" : "recording");
  j.Close('}');
}

bool Asked(const std::vector<std::string>& wanted, const std::string& name) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
}

std::unexpected<Error> Invalid(std::string_view name, std::string why) {
  return Fail(ErrorKind::kInvalidArgument, fmt::format("invalid parameter \"{}\": {}", name, why));
}

/// What a request asks for.
struct Filter {
  std::vector<std::string> names, groups, files;
  std::vector<std::vector<Matcher>> selectors;
  std::string type;
  bool with_alerts = true;
  size_t limit = 0;  ///< groups in a page; 0: all
  std::string token;

  bool Shows(const RuleStatus& r) const {
    if (!Asked(names, r.name)) return false;
    if (!type.empty() && type != (r.alerting ? "alert" : "record")) return false;
    if (selectors.empty()) return true;
    return std::ranges::any_of(selectors, [&](const std::vector<Matcher>& matchers) {
      return std::ranges::all_of(matchers, [&](const Matcher& m) {
        const auto it = r.labels.find(m.name());
        return m.Matches(it == r.labels.end() ? std::string_view() : std::string_view(it->second));
      });
    });
  }
};

Status ReadPage(const Params& params, Filter& f) {
  f.token = params.Get("group_next_token");
  const std::string_view text = params.Get("group_limit");
  if (text.empty()) {
    if (f.token.empty()) return {};
    return Invalid("group_next_token",
                   "group_limit needs to be present in order to paginate over the groups");
  }
  int32_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc() || end != text.data() + text.size())
    return Invalid("group_limit",
                   fmt::format("group_limit needs to be a valid number: \"{}\"", text));
  if (n <= 0) return Invalid("group_limit", "group_limit needs to be greater than 0");
  f.limit = static_cast<size_t>(n);
  return {};
}

Result<Filter> ReadFilter(const Params& params) {
  Filter f;
  f.names = params.All("rule_name[]");
  f.groups = params.All("rule_group[]");
  f.files = params.All("file[]");
  f.type = params.Get("type");
  std::ranges::transform(f.type, f.type.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (!f.type.empty() && f.type != "alert" && f.type != "record")
    return Invalid("type", fmt::format("not supported value \"{}\"", f.type));
  if (const std::string_view exclude = params.Get("exclude_alerts"); !exclude.empty()) {
    const auto is = [&](std::initializer_list<std::string_view> words) {
      return std::ranges::find(words, exclude) != words.end();
    };
    f.with_alerts = !is({"1", "t", "T", "TRUE", "true", "True"});
    if (f.with_alerts && !is({"0", "f", "F", "FALSE", "false", "False"}))
      return Invalid("exclude_alerts", fmt::format("\"{}\" is not true or false", exclude));
  }
  for (const std::string& text : params.All("match[]")) {
    auto matchers = rules::promql::ParseSelector(text);
    if (!matchers) return Invalid("match[]", matchers.error().ToString());
    f.selectors.push_back(std::move(*matchers));
  }
  PICKET_TRY(ReadPage(params, f));
  return f;
}

/// Stands for a group, whatever the others are at the next request.
std::string Token(const GroupStatus& g) {
  return fmt::format("{:016x}", Hash64(g.name, Hash64(g.file)));
}

void AppendGroup(Json& j, const GroupStatus& g, const std::vector<const RuleStatus*>& shown,
                 bool with_alerts) {
  j.Open('{').Field("name", g.name).Field("file", g.file).Key("rules").Open('[');
  for (const RuleStatus* r : shown) AppendRule(j, *r, with_alerts);
  j.Close(']')
      .Field("interval", Seconds(g.interval))
      .Field("limit", g.limit)
      .Field("evaluationTime", Seconds(g.evaluation_time))
      .Field("lastEvaluation", FormatTime(g.last_evaluation_ms))
      .Close('}');
}

}  // namespace

std::string_view HealthText(RuleHealth h) {
  return h == RuleHealth::kOk ? "ok" : h == RuleHealth::kErr ? "err" : "unknown";
}

Result<std::string> RulesJson(std::vector<GroupStatus> groups, const Params& params) {
  PICKET_ASSIGN(const Filter f, ReadFilter(params));
  std::ranges::sort(groups, {}, [](const GroupStatus& g) { return std::tie(g.file, g.name); });
  Json j;
  j.Open('{').Key("groups").Open('[');
  bool found = f.token.empty();
  size_t n = 0;
  std::string next;
  for (const GroupStatus& g : groups) {
    if (!found && Token(g) != f.token) continue;
    found = true;
    if (!Asked(f.groups, g.name) || !Asked(f.files, g.file)) continue;
    std::vector<const RuleStatus*> shown;
    for (const RuleStatus& r : g.rules)
      if (f.Shows(r)) shown.push_back(&r);
    if (shown.empty()) continue;
    if (f.limit > 0 && n++ == f.limit) {
      next = Token(g);
      break;
    }
    AppendGroup(j, g, shown, f.with_alerts);
  }
  if (!found)
    return Invalid(
        "group_next_token",
        fmt::format("invalid group_next_token '{}'. were rule groups changed?", f.token));
  j.Close(']');
  if (!next.empty()) j.Field("groupNextToken", next);
  return j.Close('}').Take();
}

std::string AlertsJson(const std::vector<GroupStatus>& groups) {
  Json j;
  j.Open('{').Key("alerts").Open('[');
  for (const GroupStatus& g : groups)
    for (const RuleStatus& r : g.rules)
      for (const Alert& a : r.alerts) AppendAlert(j, a);
  return j.Close(']').Close('}').Take();
}

}  // namespace picket::agent
