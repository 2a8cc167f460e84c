// SPDX-License-Identifier: Apache-2.0
// One queued body as one HTTP request, and what its answer means.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/net/http_client.h"
#include "core/spool/sender.h"
#include "exporters/remote_write/config.h"

namespace picket::exporters::remote_write {

/// What an answer means for a body of `samples`. Source: Prometheus Remote-Write 1.0 and 2.0
/// specifications. 2xx: delivered; in v2 as many samples as the Written header says, none without
/// it. 5xx, and 429 if asked for: again later. 413: smaller. Any other: never, except the samples
/// that a v2 backend says it has written.
spool::SendOutcome OutcomeOf(const net::HttpResponse& response, bool v2, uint32_t samples,
                             bool retry_429, UnixMs now_ms);

/// Sends bodies of either protocol to one URL.
class HttpTransport {
 public:
  HttpTransport(net::Runtime& runtime, const RemoteWriteConfig& config, std::string version,
                const Clock& clock);
  /// Called once, when the backend turned out not to know v2.
  void SetOnFallback(std::function<void()> f) { on_fallback_ = std::move(f); }
  net::asio::awaitable<spool::SendOutcome> Send(spool::Outgoing out);
  Status Check() const { return client_.Check(); }

 private:
  net::asio::awaitable<Result<net::HttpResponse>> Post(std::string_view body, bool v2);

  const RemoteWriteConfig config_;
  net::HttpClient client_;
  const Clock& clock_;
  std::function<void()> on_fallback_;
  std::atomic<bool> v1_only_{false}, v2_confirmed_{false};
};

}  // namespace picket::exporters::remote_write
