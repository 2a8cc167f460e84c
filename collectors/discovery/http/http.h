// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "collectors/discovery/remote.h"
#include "core/net/http_client.h"

namespace picket::collectors::discovery {

/// The groups of an answer: a JSON list of {"targets": [host:port], "labels": {}}. Each gets
/// __meta_url. Errors: kCorrupt, and then nothing of the answer is used. Source: Prometheus
/// documentation, HTTP SD.
Result<std::vector<TargetGroup>> ParseTargetGroups(std::string_view body, const std::string& url);

/// Asks a URL. The answer must be 200 and application/json.
class HttpDiscoverer final : public PeriodicDiscoverer {
 public:
  HttpDiscoverer(HttpSdConfig config, const Environment& environment);

 private:
  asio::awaitable<void> Refresh() override;
  asio::awaitable<Answer> Ask();

  const HttpSdConfig config_;
  net::HttpClient client_;
};

}  // namespace picket::collectors::discovery
