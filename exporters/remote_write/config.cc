// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/config/object.h"
#include "core/net/http_headers.h"

namespace picket::exporters::remote_write {

using namespace std::chrono_literals;

namespace {

// What the protocol or the client itself says; a user's value would break the request.
constexpr std::array<std::string_view, 10> kReserved = {
    "authorization",  "host",         "content-encoding",
    "content-length", "content-type", "x-prometheus-remote-write-version",
    "user-agent",     "connection",   "transfer-encoding",
    "keep-alive"};

bool IsHttpUrl(std::string_view url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

}  // namespace

void Declare(config::Object<QueueConfig>& o) {
  o.Doc("How samples wait and are sent.");
  o.Field("capacity", &QueueConfig::capacity,
          "Kept for Prometheus' configurations; rows wait in the spool instead.")
      .Min(1);
  o.Field("max_shards", &QueueConfig::max_shards,
          "Most requests in flight; above 8 makes no difference.")
      .Min(1);
  o.Field("min_shards", &QueueConfig::min_shards, "Batches into which small sources are gathered.")
      .Min(1);
  o.Field("max_samples_per_send", &QueueConfig::max_samples_per_send,
          "Most samples in one request.")
      .Min(1)
      .Max(100'000);
  o.Field("batch_send_deadline", &QueueConfig::batch_send_deadline,
          "Longest time a sample waits for its batch to fill.")
      .Min(1ms);
  o.Field("min_backoff", &QueueConfig::min_backoff, "First delay after a failed request.").Min(1ms);
  o.Field("max_backoff", &QueueConfig::max_backoff, "Longest delay after failed requests.")
      .Min(1ms);
  o.Field("retry_on_http_429", &QueueConfig::retry_on_http_429,
          "Whether 429 is retried; otherwise it drops the request.");
  o.Field("sample_age_limit", &QueueConfig::sample_age_limit,
          "Samples that waited longer are dropped; 0s keeps them.")
      .Min(0ms);
  o.Check([](const QueueConfig& c, config::Reporter& r) {
    if (c.min_shards > c.max_shards)
      r.Error("min_shards", "is above max_shards", "Lower min_shards or raise max_shards.");
    if (c.min_backoff > c.max_backoff)
      r.Error("min_backoff", "is above max_backoff", "Lower min_backoff or raise max_backoff.");
  });
}

void Declare(config::Object<MetadataConfig>& o) {
  o.Doc("Type, help and unit of metrics; a request of its own in v1, part of each series in v2.");
  o.Field("send", &MetadataConfig::send, "Whether metadata is sent.");
  o.Field("send_interval", &MetadataConfig::send_interval, "How often it is sent in v1.").Min(1ms);
  o.Field("max_samples_per_send", &MetadataConfig::max_samples_per_send,
          "Most families in one request.")
      .Min(1);
}

void Declare(config::Object<RemoteWriteConfig>& o) {
  o.Doc("A destination that speaks the Prometheus remote-write protocol.");
  o.Field("url", &RemoteWriteConfig::url, "Where samples are sent.")
      .Required()
      .Example("http://prometheus:9090/api/v1/write")
      .Check([](const std::string& url, config::Reporter& r) {
        if (url.empty())
          r.Error("", "is empty", "Write the whole URL of the write endpoint.");
        else if (!IsHttpUrl(url))
          r.Warn("", "is no http:// or https:// URL: as in Prometheus, every request will fail",
                 "Write the whole URL of the write endpoint.");
      });
  o.Field("remote_timeout", &RemoteWriteConfig::remote_timeout, "Longest time of one request.")
      .Min(1ms);
  o.Field("headers", &RemoteWriteConfig::headers, "Headers added to each request.");
  o.Field("name", &RemoteWriteConfig::name,
          "Name in metrics and logs, and of the queue on disk; unique.")
      .DefaultText("from the URL");
  o.Field("protobuf_message", &RemoteWriteConfig::protobuf_message,
          "The message to send. `auto` sends v2 and goes over to v1 when the backend does not know "
          "it.")
      .OneOf({{"prometheus.WriteRequest", Protocol::kV1},
              {"io.prometheus.write.v2.Request", Protocol::kV2},
              {"auto", Protocol::kAuto}});
  o.Field("send_exemplars", &RemoteWriteConfig::send_exemplars, "Send exemplars.")
      .Unsupported("exemplars are not kept by Picket yet");
  o.Field("send_native_histograms", &RemoteWriteConfig::send_native_histograms,
          "Send native histograms.")
      .Unsupported("native histograms are not kept by Picket yet");
  o.Field("round_robin_dns", &RemoteWriteConfig::round_robin_dns,
          "Spread connections over all addresses.")
      .Unsupported("connections go to the first address that answers");
  o.Field("write_relabel_configs", &RemoteWriteConfig::write_relabel_configs,
          "Relabelling for this destination alone, after external labels were added.");
  o.Field("queue_config", &RemoteWriteConfig::queue_config, "How samples wait and are sent.");
  o.Field("metadata_config", &RemoteWriteConfig::metadata_config,
          "Whether type, help and unit are sent.");
  o.Inline(&RemoteWriteConfig::http);
  o.Unsupported("sigv4", "AWS request signing is missing; a signing proxy can stand in between");
  o.Unsupported("azuread", "Azure AD authentication is missing");
  o.Unsupported("google_iam", "Google IAM authentication is missing");
  o.Check([](const RemoteWriteConfig& c, config::Reporter& r) {
    for (const auto& [name, value] : c.headers) {
      std::string lower = name;
      std::transform(lower.begin(), lower.end(), lower.begin(),
                     [](unsigned char ch) { return std::tolower(ch); });
      if (std::find(kReserved.begin(), kReserved.end(), lower) != kReserved.end())
        r.Error("headers", fmt::format("{} is set by the protocol", name),
                "Leave it out; for credentials use authorization or basic_auth.");
      else if (!net::IsToken(name) || !net::IsFieldValue(value))
        r.Error("headers", fmt::format("{} is no valid header", name),
                "Use letters, digits and dashes, and no control characters.");
    }
  });
}

}  // namespace picket::exporters::remote_write
