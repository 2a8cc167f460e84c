// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/target.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/base/hash.h"
#include "core/base/strings.h"
#include "core/net/url.h"

namespace picket::collectors::scrape {
namespace {

constexpr std::string_view kAddress = "__address__";
constexpr std::string_view kScheme = "__scheme__";
constexpr std::string_view kPath = "__metrics_path__";
constexpr std::string_view kInterval = "__scrape_interval__";
constexpr std::string_view kTimeout = "__scrape_timeout__";
constexpr std::string_view kParam = "__param_";

void SetIfAbsent(LabelsBuilder& labels, std::string_view name, std::string_view value) {
  if (labels.Get(name).empty()) labels.Set(name, value);
}

/// key=value&key=value, sorted by key, as a query string.
std::string Query(const Labels& labels, const ScrapeConfig& job) {
  std::map<std::string, std::vector<std::string>> params = job.params;
  for (const auto [name, value] : labels) {
    if (!name.starts_with(kParam)) continue;
    auto& values = params[std::string(name.substr(kParam.size()))];
    if (values.empty()) values.emplace_back();
    values[0] = value;
  }
  std::string query;
  for (const auto& [name, values] : params) {
    for (const std::string& value : values) {
      query += query.empty() ? "?" : "&";
      query += net::PercentEncode(name) + "=" + net::PercentEncode(value);
    }
  }
  return query;
}

/// Only what would end the path is escaped: people write paths with reserved characters in them.
std::string EscapedPath(std::string_view path) {
  std::string out = path.starts_with('/') ? "" : "/";
  for (const char c : path) {
    if (c == '?' || c == '#' || c == ' ' || c < 0x20) {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

Result<Milliseconds> DurationLabel(const LabelsBuilder& labels, std::string_view name,
                                   std::string_view what) {
  auto duration = ParseDuration(labels.Get(name));
  if (!duration)
    return Fail(std::move(duration).error().Context(fmt::format("scrape {} of the target", what)));
  if (duration->count() == 0)
    return Fail(ErrorKind::kInvalidArgument, fmt::format("scrape {} of the target is 0", what));
  return *duration;
}

Status CheckAddress(std::string_view address) {
  if (address.empty()) return Fail(ErrorKind::kInvalidArgument, "the target has no __address__");
  if (address.find('/') != std::string_view::npos) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{} is not host:port", JsonQuote(address)));
  }
  return {};
}

std::string_view HostOf(std::string_view address) {
  if (address.starts_with('[')) return address.substr(1, address.find(']') - 1);
  const size_t colon = address.find(':');
  return address.find(':', colon == std::string_view::npos ? colon : colon + 1) ==
                 std::string_view::npos
             ? address.substr(0, colon)
             : address;
}

}  // namespace

Labels DiscoveredLabels(const Labels& target, const Labels& group, const ScrapeConfig& job,
                        const JobSettings& settings) {
  LabelsBuilder labels(group);
  for (const auto [name, value] : target) labels.Set(name, value);
  SetIfAbsent(labels, "job", job.job_name);
  SetIfAbsent(labels, kInterval, FormatDuration(settings.interval));
  SetIfAbsent(labels, kTimeout, FormatDuration(settings.timeout));
  SetIfAbsent(labels, kPath, job.metrics_path);
  SetIfAbsent(labels, kScheme, job.scheme);
  for (const auto& [name, values] : job.params) {
    if (!values.empty()) SetIfAbsent(labels, std::string(kParam) + name, values[0]);
  }
  return labels.Build();
}

Result<std::optional<Target>> MakeTarget(Labels discovered, const ScrapeConfig& job) {
  LabelsBuilder labels(discovered);
  if (!relabel::Process(job.relabel_configs, labels)) return std::optional<Target>();
  Target target;
  target.address = labels.Get(kAddress);
  PICKET_TRY(CheckAddress(target.address));
  PICKET_ASSIGN(target.interval, DurationLabel(labels, kInterval, "interval"));
  PICKET_ASSIGN(target.timeout, DurationLabel(labels, kTimeout, "timeout"));
  if (target.timeout > target.interval) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("scrape timeout of the target ({}) is longer than its interval ({})",
                            FormatDuration(target.timeout), FormatDuration(target.interval)));
  }
  SetIfAbsent(labels, "instance", target.address);
  const Labels all = labels.Build();
  std::vector<Labels::Pair> shown;
  for (const Labels::Pair pair : all) {
    if (!IsValidUtf8(pair.value)) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("label {} of the target is not UTF-8", pair.name));
    }
    if (!pair.name.starts_with("__")) shown.push_back(pair);
  }
  target.url = fmt::format("{}://{}{}{}", all.Get(kScheme), target.address,
                           EscapedPath(all.Get(kPath)), Query(all, job));
  target.labels = Labels::FromViews(shown);
  target.hash = Hash64(target.url, target.labels.Hash());
  target.discovered = std::move(discovered);
  return std::optional(std::move(target));
}

LocalAddresses LocalAddresses::Read() {
  LocalAddresses out;
  out.hosts_ = {"localhost"};
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) == 0) out.hosts_.emplace_back(name);
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return out;
  for (const ifaddrs* i = list; i; i = i->ifa_next) {
    char text[INET6_ADDRSTRLEN] = {};
    if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr, text,
                sizeof text);
    } else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6) {
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(i->ifa_addr)->sin6_addr, text,
                sizeof text);
    }
    if (text[0]) out.hosts_.emplace_back(text);
  }
  freeifaddrs(list);
  return out;
}

bool LocalAddresses::Contains(std::string_view address) const {
  const std::string_view host = HostOf(address);
  return host.starts_with("127.") || host == "::1" ||
         std::ranges::find(hosts_, host) != hosts_.end();
}

}  // namespace picket::collectors::scrape
