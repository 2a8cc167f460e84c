// SPDX-License-Identifier: Apache-2.0
// One request to an OTLP backend, whatever carries it. Private to exporters/otlp.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/net/http_client.h"
#include "core/net/runtime.h"
#include "core/proto/rpc_status.h"
#include "core/spool/sender.h"
#include "exporters/otlp/config.h"

namespace picket::exporters::otlp {

/// A request in pieces, with what keeps them alive: one owner a piece.
struct Body {
  std::vector<std::string_view> pieces;
  std::vector<std::shared_ptr<const void>> owners;

  void Add(std::string_view piece, std::shared_ptr<const void> owner);
  /// All in one, without a copy where there is one piece only.
  std::string_view Joined(std::string& memory) const;
};

class Client {
 public:
  virtual ~Client() = default;
  /// Sends one ExportTraceServiceRequest of `spans` spans. Ends within the configured timeout.
  virtual net::asio::awaitable<spool::SendOutcome> Export(Body body, uint32_t spans) = 0;
};

/// What an answer means. Source: OTLP specification, "Failures" and "OTLP/HTTP Response".
spool::SendOutcome OutcomeOfHttp(const net::HttpResponse& response, UnixMs now_ms);
spool::SendOutcome OutcomeOfGrpc(proto::RpcCode code, std::string_view message,
                                 std::string_view details, std::string_view response,
                                 bool retry_exhausted);

std::unique_ptr<Client> MakeHttpClient(const OtlpExporterConfig& config, const Target& target,
                                       net::Runtime& runtime, const Clock& clock);

/// The thread on which answers of every gRPC destination come in.
class GrpcPoller;
std::shared_ptr<GrpcPoller> MakeGrpcPoller();
Result<std::unique_ptr<Client>> MakeGrpcClient(const OtlpExporterConfig& config,
                                               const Target& target,
                                               std::shared_ptr<GrpcPoller> poller);

}  // namespace picket::exporters::otlp
