// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/http/http.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "core/base/strings.h"
#include "core/net/url.h"

namespace picket::collectors::discovery {
namespace {

using simdjson::dom::element;

std::string Shown(const std::string& url) {
  const auto parsed = net::Url::Parse(url);
  return "http_sd " + (parsed ? parsed->ToString() : std::string("url"));
}

std::string Seconds(Milliseconds time) {
  return FormatFloat(std::chrono::duration<double>(time).count());
}

/// application/json, and if a charset is named it is UTF-8.
bool IsJson(std::string_view type) {
  const auto parts = Split(Trim(type), ';');
  if (parts.size() > 2 || !net::EqualsNoCase(parts[0], "application/json")) return false;
  if (parts.size() == 1) return true;
  const std::string_view charset = Trim(parts[1]);
  return net::EqualsNoCase(charset, "charset=utf-8") ||
         net::EqualsNoCase(charset, "charset=\"utf-8\"");
}

std::unexpected<Error> Bad(std::string why) { return Fail(ErrorKind::kCorrupt, std::move(why)); }

/// A text; null is an empty one.
Result<std::string> Text(element e, const std::string& what) {
  if (e.is_null()) return std::string();
  std::string_view text;
  if (e.get(text) != simdjson::SUCCESS) return Bad(what + " is not a string");
  return std::string(text);
}

Status ReadTargets(element e, const std::string& place, StaticConfig& out) {
  out.targets.clear();
  if (e.is_null()) return {};
  simdjson::dom::array list;
  if (e.get(list) != simdjson::SUCCESS) return Bad(place + ": targets is not a list");
  for (const element item : list) {
    PICKET_ASSIGN(std::string target, Text(item, place + ": a target"));
    out.targets.push_back(std::move(target));
  }
  return {};
}

Status ReadLabels(element e, const std::string& place, LabelsBuilder& out) {
  if (e.is_null()) return {};
  simdjson::dom::object map;
  if (e.get(map) != simdjson::SUCCESS) return Bad(place + ": labels is not an object");
  for (const auto& [name, value] : map) {
    if (name.empty()) return Bad(place + ": \"\" is not a valid label name");
    PICKET_ASSIGN(const std::string text,
                  Text(value, fmt::format("{}: label {}", place, JsonQuote(name))));
    out.Set(name, text);
  }
  return {};
}

}  // namespace

Result<std::vector<TargetGroup>> ParseTargetGroups(std::string_view body, const std::string& url) {
  simdjson::dom::parser parser;
  element root;
  if (const auto error = parser.parse(body.data(), body.size()).get(root);
      error != simdjson::SUCCESS)
    return Bad(fmt::format("the answer is not JSON: {}", simdjson::error_message(error)));
  std::vector<TargetGroup> groups;
  if (root.is_null()) return groups;
  simdjson::dom::array list;
  if (root.get(list) != simdjson::SUCCESS)
    return Bad("the answer is not a list of {targets, labels}");
  for (const element item : list) {
    const std::string place = fmt::format("target group {}", groups.size());
    simdjson::dom::object group;
    if (item.get(group) != simdjson::SUCCESS)
      return Bad(place + (item.is_null() ? " is null" : " is not an object"));
    StaticConfig config;
    LabelsBuilder labels;
    for (const auto& [key, value] : group) {
      if (net::EqualsNoCase(key, "targets"))
        PICKET_TRY(ReadTargets(value, place, config));
      else if (net::EqualsNoCase(key, "labels"))
        PICKET_TRY(ReadLabels(value, place, labels));
      else
        return Bad(fmt::format("{}: unknown field {}", place, JsonQuote(key)));
    }
    labels.Set("__meta_url", url);
    config.labels = labels.Build();
    groups.push_back(MakeGroup(config, fmt::format("{}:{}", url, groups.size())));
  }
  return groups;
}

HttpDiscoverer::HttpDiscoverer(HttpSdConfig config, const Environment& environment)
    : PeriodicDiscoverer(environment, "http", Shown(config.url), config.refresh_interval),
      config_(std::move(config)),
      client_(env_.runtime, config_.http, {.user_agent = env_.user_agent}) {}

asio::awaitable<void> HttpDiscoverer::Refresh() {
  Answer answer = co_await Ask();
  Settle({}, std::move(answer));
}

asio::awaitable<RemoteDiscoverer::Answer> HttpDiscoverer::Ask() {
  net::HttpRequest request;
  request.url = config_.url;
  request.timeout = interval();
  request.headers.Add("Accept", "application/json");
  request.headers.Add("X-Prometheus-Refresh-Interval-Seconds", Seconds(interval()));
  auto response = co_await client_.Fetch(std::move(request));
  if (!response) co_return Fail(std::move(response).error());
  if (response->status != 200)
    co_return Fail(ErrorKind::kIo,
                   fmt::format("server returned HTTP status {} {}", response->status,
                               net::StatusText(response->status)));
  const std::string_view type = response->headers.Get("content-type");
  if (!IsJson(type)) co_return Bad(fmt::format("unsupported content type {}", JsonQuote(type)));
  co_return ParseTargetGroups(response->body, config_.url);
}

}  // namespace picket::collectors::discovery
