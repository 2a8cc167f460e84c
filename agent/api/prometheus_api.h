// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "agent/api/params.h"
#include "core/model/query.h"
#include "core/net/http_server.h"
#include "rules/promql/engine.h"

namespace picket::agent {

/// What the API reads. Ownership: borrowed, longer-lived than the server.
struct ApiSources {
  const Querier* querier = nullptr;
  const rules::promql::Engine* engine = nullptr;
  const Clock* clock = nullptr;
  /// The `data` member of the reply, as JSON.
  std::function<std::string(const Params&)> targets;
  std::function<Result<std::string>(const Params&)> rules;
  /// Of every target that is scraped.
  std::function<std::vector<Labels>()> target_labels;
  std::function<std::string()> alerts;
  std::function<std::string()> alertmanagers;
  std::function<std::string()> config_yaml;  ///< secrets hidden
};

/// One answer in Prometheus' envelope.
struct ApiAnswer {
  int status = 200;
  std::string json;
};

/// The Prometheus query API over the local window: Grafana, promtool and client libraries see a
/// Prometheus. Threads: Answer from any; queries are evaluated where it is called. Source:
/// prometheus.io/docs/prometheus/latest/querying/api
class PrometheusApi {
 public:
  explicit PrometheusApi(ApiSources sources) : sources_(std::move(sources)) {}

  /// Adds its routes under /api/v1/. Queries run on the pool for blocking calls, so that they never
  /// delay a scrape.
  void Mount(net::Runtime& runtime, net::HttpServer& server);

  /// `path` is below /api/v1/: "query", "label/job/values".
  ApiAnswer Answer(std::string_view path, const Params& params) const;

 private:
  net::asio::awaitable<net::HttpReply> Serve(net::Runtime& runtime, net::HttpServerRequest request);
  Result<std::string> Dispatch(std::string_view path, const Params& params,
                               std::string& notes) const;
  Result<std::string> Query(const Params& params, std::string& notes) const;
  Result<std::string> QueryRange(const Params& params, std::string& notes) const;
  Result<std::string> Series(const Params& params, std::string& notes) const;
  Result<std::string> LabelNames(const Params& params, std::string& notes) const;
  Result<std::string> LabelValues(std::string_view name, const Params& params,
                                  std::string& notes) const;
  Result<std::string> Metadata(const Params& params) const;
  Result<std::string> TargetMetadata(const Params& params) const;
  Result<std::string> FormatQuery(const Params& params) const;

  ApiSources sources_;
};

}  // namespace picket::agent
