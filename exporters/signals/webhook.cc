// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "core/base/strings.h"
#include "core/net/http_client.h"
#include "exporters/signals/message.h"
#include "exporters/signals/transport.h"

namespace picket::exporters::signals {
namespace {

// Following would turn the POST into a GET of some page, which then answers 200.
net::HttpClientConfig WithoutRedirects(net::HttpClientConfig config) {
  config.follow_redirects = false;
  return config;
}

Attempt Judge(const net::HttpResponse& response, UnixMs now_ms) {
  Attempt out;
  if (response.ok()) {
    out.outcome = Attempt::Outcome::kDelivered;
    return out;
  }
  const int s = response.status;
  const bool later = s >= 500 || s == 408 || s == 425 || s == 429;
  out.outcome = later ? Attempt::Outcome::kRetry : Attempt::Outcome::kRejected;
  out.detail = fmt::format("status {}", s);
  if (s / 100 == 3)
    out.detail += fmt::format(": redirects to {}", response.headers.Get("location"));
  const std::string_view text = Trim(response.body.substr(0, 200));
  if (!text.empty()) out.detail += fmt::format(": {}", text.substr(0, text.find('\n')));
  out.retry_after = net::RetryAfter(response.headers, now_ms);
  return out;
}

class Webhook final : public Transport {
 public:
  Webhook(const SignalConfig& config, net::Runtime& runtime, const Clock& clock)
      : config_(config), clock_(clock), client_(runtime, WithoutRedirects(config.http)) {}

  net::asio::awaitable<Attempt> Try(RolloutSignal signal) override {
    const std::string body = MessageJson(signal);
    net::HttpRequest request;
    request.method = "POST";
    request.url = config_.url;
    request.timeout = config_.timeout;
    request.body_limit = 64 << 10;
    request.body.push_back(body);
    for (const auto& [name, value] : config_.headers) request.headers.Set(name, value);
    request.headers.Set("Content-Type", "application/json");
    request.headers.Set("Idempotency-Key", IdempotencyKey(signal));
    auto secret = config::SecretOrFile(config_.secret, config_.secret_file);
    Attempt failed;
    if (!secret) {
      failed.detail = secret.error().ToString();
      co_return failed;
    }
    if (!secret->empty())
      request.headers.Set("X-Picket-Signature",
                          Signature(secret->Reveal(), clock_.NowMs() / 1000, body));
    const auto response = co_await client_.Fetch(std::move(request));
    if (response) co_return Judge(*response, clock_.NowMs());
    failed.detail = response.error().ToString();
    if (response.error().kind() == ErrorKind::kCancelled)
      failed.outcome = Attempt::Outcome::kStopped;
    co_return failed;
  }

 private:
  const SignalConfig config_;
  const Clock& clock_;
  net::HttpClient client_;
};

}  // namespace

std::unique_ptr<Transport> MakeWebhook(const SignalConfig& config, net::Runtime& runtime,
                                       const Clock& clock) {
  return std::make_unique<Webhook>(config, runtime, clock);
}

}  // namespace picket::exporters::signals
