// SPDX-License-Identifier: Apache-2.0
#include "agent/api/prometheus_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "agent/version.h"
#include "core/base/strings.h"
#include "rules/promql/json.h"
#include "rules/promql/parser.h"

namespace picket::agent {
namespace {

namespace promql = rules::promql;

constexpr int64_t kMaxPoints = 11'000;
constexpr std::string_view kPrefix = "/api/v1/";

std::string ErrorJson(std::string_view type, std::string_view message) {
  return fmt::format(R"({{"status":"error","errorType":{},"error":{}}})", JsonQuote(type),
                     JsonQuote(message));
}

// How Prometheus names a failure and which status goes with it.
std::pair<int, std::string_view> Classify(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNotFound:
      return {404, "not_found"};
    case ErrorKind::kTimeout:
      return {503, "timeout"};
    case ErrorKind::kCancelled:
      return {503, "canceled"};
    case ErrorKind::kInternal:
      return {500, "internal"};
    case ErrorKind::kUnsupported:
      return {422, "execution"};
    default:
      return {400, "bad_data"};
  }
}

void AppendStrings(std::string& out, std::string_view name, const std::vector<std::string>& texts) {
  if (texts.empty()) return;
  out += fmt::format(",\"{}\":[", name);
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonQuoted(out, texts[i]);
  }
  out += ']';
}

// A list of texts, cut at `limit` with the warning Prometheus gives.
std::string StringList(std::vector<std::string> texts, size_t limit, std::string& notes) {
  if (limit > 0 && texts.size() > limit) {
    texts.resize(limit);
    AppendStrings(notes, "warnings", {"results truncated due to limit"});
  }
  std::string out = "[";
  for (const std::string& t : texts) {
    if (out.size() > 1) out += ',';
    AppendJsonQuoted(out, t);
  }
  return out + "]";
}

Result<size_t> Limit(const Params& params, std::string_view name = "limit") {
  const std::string_view text = params.Get(name);
  if (text.empty()) return size_t{0};
  size_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc() || end != text.data() + text.size())
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("invalid parameter \"{}\": \"{}\" is not a number", name, text));
  return n;
}

Result<std::vector<std::vector<Matcher>>> Selectors(const Params& params, bool required) {
  std::vector<std::vector<Matcher>> out;
  for (const std::string& text : params.All("match[]")) {
    auto matchers = promql::ParseSelector(text);
    if (!matchers)
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("invalid parameter \"match[]\": {}", matchers.error().ToString()));
    out.push_back(std::move(*matchers));
  }
  if (required && out.empty())
    return Fail(ErrorKind::kInvalidArgument, "no match[] parameter provided");
  return out;
}

Result<std::pair<UnixMs, UnixMs>> TimeRange(const Params& params) {
  UnixMs from = INT64_MIN / 2;
  UnixMs to = INT64_MAX / 2;
  if (params.Has("start")) {
    PICKET_ASSIGN(from, ParseTime(params.Get("start")));
  }
  if (params.Has("end")) {
    PICKET_ASSIGN(to, ParseTime(params.Get("end")));
  }
  if (to < from)
    return Fail(ErrorKind::kInvalidArgument, "end timestamp must not be before start timestamp");
  return std::pair{from, to};
}

Result<promql::EvalOptions> Options(const Params& params) {
  promql::EvalOptions options;
  if (params.Has("lookback_delta")) {
    PICKET_ASSIGN(options.lookback, ParseStep(params.Get("lookback_delta")));
  }
  if (params.Has("timeout")) {
    PICKET_ASSIGN(options.timeout, ParseStep(params.Get("timeout")));
  }
  return options;
}

Result<promql::ExpressionPtr> ParseQueryParam(const Params& params) {
  auto parsed = promql::Parse(params.Get("query"));
  if (!parsed)
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("invalid parameter \"query\": {}", parsed.error().ToString()));
  return parsed;
}

std::string Rendered(const promql::QueryResult& result, std::string& notes) {
  std::string data = "{";
  promql::AppendJson(data, result);
  AppendStrings(notes, "warnings", result.warnings);
  AppendStrings(notes, "infos", result.infos);
  return data + "}";
}

// Whether one of the names is a series of the family.
bool HasFamily(const std::set<std::string, std::less<>>& names, const std::string& family) {
  if (names.contains(family)) return true;
  for (const char* suffix :
       {"_total", "_bucket", "_sum", "_count", "_info", "_created", "_gsum", "_gcount"})
    if (names.contains(family + suffix)) return true;
  return false;
}

// What fails while a query runs is an execution error unless it says otherwise.
Error Execution(Error e) {
  if (e.kind() == ErrorKind::kTimeout || e.kind() == ErrorKind::kCancelled ||
      e.kind() == ErrorKind::kInternal)
    return e;
  return Error(ErrorKind::kUnsupported, e.ToString());
}

}  // namespace

Result<std::string> PrometheusApi::Query(const Params& params, std::string& notes) const {
  UnixMs t = sources_.clock->NowMs();
  if (params.Has("time")) {
    PICKET_ASSIGN(t, ParseTime(params.Get("time")));
  }
  PICKET_ASSIGN(const auto options, Options(params));
  PICKET_ASSIGN(const auto expression, ParseQueryParam(params));
  auto result = sources_.engine->Instant(*expression, *sources_.querier, t, options);
  if (!result) return Fail(Execution(std::move(result).error()));
  return Rendered(*result, notes);
}

Result<std::string> PrometheusApi::QueryRange(const Params& params, std::string& notes) const {
  auto named = [&](std::string_view name, Error e) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("invalid parameter \"{}\": {}", name, e.message()));
  };
  auto start = ParseTime(params.Get("start"));
  if (!start) return named("start", std::move(start).error());
  auto end = ParseTime(params.Get("end"));
  if (!end) return named("end", std::move(end).error());
  if (*end < *start)
    return Fail(ErrorKind::kInvalidArgument,
                "invalid parameter \"end\": end timestamp must not be before start time");
  auto step = ParseStep(params.Get("step"));
  if (!step) return named("step", std::move(step).error());
  if (step->count() == 0 || (*end - *start) / step->count() > kMaxPoints)
    return Fail(ErrorKind::kInvalidArgument,
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                "query resolution (?step=XX)");
  PICKET_ASSIGN(const auto options, Options(params));
  PICKET_ASSIGN(const auto expression, ParseQueryParam(params));
  auto result =
      sources_.engine->Range(*expression, *sources_.querier, *start, *end, *step, options);
  if (!result) return Fail(Execution(std::move(result).error()));
  return Rendered(*result, notes);
}

Result<std::string> PrometheusApi::Series(const Params& params, std::string& notes) const {
  PICKET_ASSIGN(const auto selectors, Selectors(params, true));
  PICKET_ASSIGN(const auto range, TimeRange(params));
  PICKET_ASSIGN(const size_t limit, Limit(params));
  std::set<Labels> found;
  for (const auto& matchers : selectors)
    for (Labels& l : sources_.querier->SelectLabels(matchers, range.first, range.second))
      found.insert(std::move(l));
  std::string out = "[";
  size_t n = 0;
  for (const Labels& l : found) {
    if (limit > 0 && n++ == limit) {
      AppendStrings(notes, "warnings", {"results truncated due to limit"});
      break;
    }
    if (out.size() > 1) out += ',';
    out += l.ToJson();
  }
  return out + "]";
}

Result<std::string> PrometheusApi::LabelNames(const Params& params, std::string& notes) const {
  PICKET_ASSIGN(const auto selectors, Selectors(params, false));
  PICKET_ASSIGN(const size_t limit, Limit(params));
  std::set<std::string> names;
  if (selectors.empty())
    for (std::string& n : sources_.querier->LabelNames({})) names.insert(std::move(n));
  for (const auto& matchers : selectors)
    for (std::string& n : sources_.querier->LabelNames(matchers)) names.insert(std::move(n));
  return StringList({names.begin(), names.end()}, limit, notes);
}

Result<std::string> PrometheusApi::LabelValues(std::string_view name, const Params& params,
                                               std::string& notes) const {
  PICKET_ASSIGN(const auto selectors, Selectors(params, false));
  PICKET_ASSIGN(const size_t limit, Limit(params));
  std::set<std::string> values;
  if (selectors.empty())
    for (std::string& v : sources_.querier->LabelValues(name, {})) values.insert(std::move(v));
  for (const auto& matchers : selectors)
    for (std::string& v : sources_.querier->LabelValues(name, matchers))
      values.insert(std::move(v));
  return StringList({values.begin(), values.end()}, limit, notes);
}

Result<std::string> PrometheusApi::Metadata(const Params& params) const {
  PICKET_ASSIGN(const size_t limit, Limit(params));
  const std::string_view metric = params.Get("metric");
  std::map<std::string, std::string> families;
  for (const auto& m : sources_.querier->Metadata()) {
    if (!metric.empty() && m->family != metric) continue;
    families.try_emplace(m->family, fmt::format(R"([{{"type":{},"help":{},"unit":{}}}])",
                                                JsonQuote(MetricTypeName(m->type)),
                                                JsonQuote(m->help), JsonQuote(m->unit)));
  }
  std::string out = "{";
  size_t n = 0;
  for (const auto& [family, json] : families) {
    if (limit > 0 && n++ == limit) break;
    if (out.size() > 1) out += ',';
    AppendJsonQuoted(out, family);
    out += ":" + json;
  }
  return out + "}";
}

// The window knows families and which series a target has, not which target said what: where two
// targets disagree on a family, one of the two is shown.
Result<std::string> PrometheusApi::TargetMetadata(const Params& params) const {
  size_t limit = 0;
  if (params.Has("limit")) {
    auto parsed = Limit(params);
    if (!parsed) return Fail(ErrorKind::kInvalidArgument, "limit must be a number");
    limit = *parsed;
  }
  std::vector<Matcher> matchers;
  if (const std::string_view text = params.Get("match_target"); !text.empty()) {
    auto parsed = promql::ParseSelector(text);
    if (!parsed)
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("invalid parameter \"match_target\": {}", parsed.error().ToString()));
    matchers = std::move(*parsed);
  }
  const std::string_view metric = params.Get("metric");
  const auto families = sources_.querier->Metadata();
  std::string out = "[";
  size_t n = 0;
  for (const Labels& target : sources_.target_labels()) {
    const auto fits = [&](const Matcher& m) { return m.Matches(target.Get(m.name())); };
    if (!std::ranges::all_of(matchers, fits)) continue;
    std::vector<Matcher> own;
    for (const auto [name, value] : target)
      own.push_back(Matcher::Equal(std::string(name), std::string(value)));
    const auto listed = sources_.querier->LabelValues("__name__", own);
    const std::set<std::string, std::less<>> names(listed.begin(), listed.end());
    for (const auto& m : families) {
      if ((!metric.empty() && m->family != metric) || !HasFamily(names, m->family)) continue;
      if (limit > 0 && n++ == limit) return out + "]";
      if (out.size() > 1) out += ',';
      out += fmt::format(R"({{"target":{},)", target.ToJson());
      if (metric.empty()) out += fmt::format(R"("metric":{},)", JsonQuote(m->family));
      out += fmt::format(R"("type":{},"help":{},"unit":{}}})", JsonQuote(MetricTypeName(m->type)),
                         JsonQuote(m->help), JsonQuote(m->unit));
    }
  }
  return out + "]";
}

Result<std::string> PrometheusApi::FormatQuery(const Params& params) const {
  PICKET_ASSIGN(const auto expression, ParseQueryParam(params));
  return JsonQuote(promql::Print(*expression));
}

Result<std::string> PrometheusApi::Dispatch(std::string_view path, const Params& params,
                                            std::string& notes) const {
  if (path == "query") return Query(params, notes);
  if (path == "query_range") return QueryRange(params, notes);
  if (path == "series") return Series(params, notes);
  if (path == "labels") return LabelNames(params, notes);
  if (path.starts_with("label/") && path.ends_with("/values"))
    return LabelValues(path.substr(6, path.size() - 13), params, notes);
  if (path == "metadata") return Metadata(params);
  if (path == "format_query") return FormatQuery(params);
  if (path == "query_exemplars") return "[]";
  if (path == "targets" && sources_.targets) return sources_.targets(params);
  if (path == "targets/metadata" && sources_.target_labels) return TargetMetadata(params);
  if (path == "rules" && sources_.rules) return sources_.rules(params);
  if (path == "alerts" && sources_.alerts) return sources_.alerts();
  if (path == "alertmanagers" && sources_.alertmanagers) return sources_.alertmanagers();
  if (path == "status/buildinfo")
    return fmt::format(
        R"({{"version":"{}","revision":"{}","branch":"main","buildUser":"picket","buildDate":"","goVersion":"","application":"picket"}})",
        kPrometheusVersion, kVersion);
  if (path == "status/config" && sources_.config_yaml)
    return fmt::format(R"({{"yaml":{}}})", JsonQuote(sources_.config_yaml()));
  return Fail(ErrorKind::kNotFound, fmt::format("there is no /api/v1/{} here", path));
}

ApiAnswer PrometheusApi::Answer(std::string_view path, const Params& params) const {
  std::string notes;
  auto data = Dispatch(path, params, notes);
  if (data) return {200, fmt::format(R"({{"status":"success","data":{}{}}})", *data, notes)};
  const auto [status, type] = Classify(data.error().kind());
  return {status, ErrorJson(type, data.error().ToString())};
}

void PrometheusApi::Mount(net::Runtime& runtime, net::HttpServer& server) {
  auto handle = [this,
                 &runtime](net::HttpServerRequest request) -> net::asio::awaitable<net::HttpReply> {
    return Serve(runtime, std::move(request));
  };
  for (const char* method : {"GET", "POST"})
    server.Route({.method = method, .path = "/api/v1/*", .handler = handle, .admit = {}});
}

net::asio::awaitable<net::HttpReply> PrometheusApi::Serve(net::Runtime& runtime,
                                                          net::HttpServerRequest request) {
  std::function<ApiAnswer()> work = [this, &request] {
    const Params params(request.query, request.method == "POST" ? request.body : std::string());
    return Answer(std::string_view(request.path).substr(kPrefix.size()), params);
  };
  ApiAnswer answer = co_await runtime.Blocking(work);
  co_return net::HttpReply::Json(answer.status, std::move(answer.json));
}

}  // namespace picket::agent
