// SPDX-License-Identifier: Apache-2.0
#include "exporters/loki/config.h"

#include <fmt/format.h>

#include "core/config/object.h"
#include "core/model/labels.h"

namespace picket::exporters::loki {
namespace {

constexpr size_t kLabelLimit = 15;        // Loki's max_label_names_per_series
constexpr size_t kLabelNameLimit = 1024;  // and its other defaults
constexpr size_t kLabelValueLimit = 2048;
constexpr size_t kLabelsOfCollector = 5;  // namespace, pod, container, uid, stream

}  // namespace

void Declare(config::Object<LokiConfig>& o) {
  o.Doc("Sends log lines to Loki, or anything that takes its push protocol.");
  o.Field("url", &LokiConfig::url,
          "Where to push to; without a path, Loki's own /loki/api/v1/push is meant.")
      .Required()
      .NonEmpty()
      .Example("http://loki:3100/loki/api/v1/push");
  o.Field("tenant", &LokiConfig::tenant, "Sent as X-Scope-OrgID.");
  o.Field("labels", &LokiConfig::labels, "Labels added to every stream that does not have them.");
  o.Field("batch_size", &LokiConfig::batch_size, "Size of a request before compression.")
      .Min(1_KiB)
      .Max(4_MiB);
  o.Field("batch_wait", &LokiConfig::batch_wait, "How long a line may wait for others.")
      .Min(Milliseconds(1));
  o.Field("timeout", &LokiConfig::timeout, "For one request, with its answer.")
      .Min(Milliseconds(1));
  o.Field("min_backoff", &LokiConfig::min_backoff, "Wait after the first failure.")
      .Min(Milliseconds(1));
  o.Field("max_backoff", &LokiConfig::max_backoff, "Longest wait between two attempts.")
      .Min(Milliseconds(1));
  o.Field("max_in_flight", &LokiConfig::max_in_flight,
          "Requests under way at once. A stream is never in two of them.")
      .Min(1)
      .Max(64);
  o.Inline(&LokiConfig::http);
  o.Check([](const LokiConfig& c, config::Reporter& r) {
    if (!c.url.starts_with("http://") && !c.url.starts_with("https://"))
      r.Error("url", fmt::format("\"{}\" is not an http:// or https:// address", c.url),
              "Write it as http://host:3100/loki/api/v1/push.");
    if (c.min_backoff > c.max_backoff)
      r.Error("min_backoff", "is above max_backoff", "Make it shorter.");
    if (c.labels.size() + kLabelsOfCollector > kLabelLimit)
      r.Warn("labels",
             fmt::format("{} labels beside those of the collector may pass Loki's limit of {}",
                         c.labels.size(), kLabelLimit),
             "Leave some out, or raise max_label_names_per_series in Loki.");
    for (const auto& [name, value] : c.labels) {
      if (!IsLegacyLabelName(name))
        r.Error("labels", fmt::format("\"{}\" is not a label name", name),
                "Use letters, digits and underscores.");
      if (name.size() > kLabelNameLimit || value.size() > kLabelValueLimit)
        r.Warn("labels", fmt::format("\"{}\" is longer than Loki takes by default", name),
               "Shorten it, or raise Loki's limits.");
    }
  });
}

std::string PushUrl(const LokiConfig& config) {
  std::string_view url = config.url;
  const size_t host = url.find("://");
  if (host == std::string_view::npos) return config.url;
  const size_t path = url.find('/', host + 3);
  if (path == std::string_view::npos) return config.url + "/loki/api/v1/push";
  if (path + 1 == url.size()) return config.url + "loki/api/v1/push";
  return config.url;
}

std::string DestinationName(const LokiConfig& config) {
  std::string name = PushUrl(config);
  // A password in the address is nobody's business.
  const size_t host = name.find("://") + 3;
  const size_t at = name.find('@');
  if (at != std::string::npos && at < name.find('/', host)) name.erase(host, at + 1 - host);
  return config.tenant.empty() ? "loki " + name : "loki " + name + " " + config.tenant;
}

}  // namespace picket::exporters::loki
