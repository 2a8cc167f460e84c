// SPDX-License-Identifier: Apache-2.0
#include "core/net/http_client.h"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <charconv>
#include <ctime>
#include <future>
#include <utility>

#include "core/base/strings.h"
#include "core/net/internal/exchange.h"

namespace picket::net {

struct HttpClient::Impl {
  std::shared_ptr<ClientState> state;
};

namespace {

asio::awaitable<Result<HttpResponse>> FetchWith(std::shared_ptr<ClientState> state,
                                                HttpRequest request) {
  const auto executor = co_await asio::this_coro::executor;
  if (!state->runtime.Owns(executor))
    co_return Fail(ErrorKind::kInternal, "Fetch was called outside the runtime");
  const bool before = co_await IsCancelled();
  if (before) co_return Fail(ErrorKind::kCancelled, "cancelled");
  co_await asio::this_coro::throw_if_cancelled(false);
  Exchange exchange(state, std::move(request));
  auto response = co_await exchange.Run();
  const bool cancelled = co_await IsCancelled();
  if (!response && cancelled) co_return Fail(ErrorKind::kCancelled, response.error().ToString());
  co_return response;
}

}  // namespace

HttpClient::HttpClient(Runtime& runtime, HttpClientConfig config, HttpClientOptions options)
    : impl_(std::make_shared<Impl>(
          Impl{std::make_shared<ClientState>(runtime, std::move(config), std::move(options))})) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

asio::awaitable<Result<HttpResponse>> HttpClient::Fetch(HttpRequest request) {
  return FetchWith(impl_->state, std::move(request));
}

Result<HttpResponse> HttpClient::FetchBlocking(HttpRequest request) {
  auto done =
      asio::co_spawn(impl_->state->runtime.Next(), Fetch(std::move(request)), asio::use_future);
  try {
    return done.get();
  } catch (const std::exception& e) {  // the runtime was stopped
    return Fail(ErrorKind::kCancelled, e.what());
  }
}

Status HttpClient::Check() const {
  PICKET_TRY(impl_->state->connector.Check());
  PICKET_TRY(impl_->state->credentials.Authorization());
  HttpHeaders headers;
  return impl_->state->credentials.AppendHeaders(headers);
}

void HttpClient::CloseIdle() { impl_->state->pool.Clear(); }

Milliseconds RetryAfter(const HttpHeaders& headers, UnixMs now_ms) {
  const std::string_view text = Trim(headers.Get("retry-after"));
  int64_t seconds = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (!text.empty() && ec == std::errc() && end == text.data() + text.size())
    return seconds < 0 ? Milliseconds(-1) : Milliseconds(std::min<int64_t>(seconds, 86400) * 1000);
  std::tm tm{};
  const std::string date(text);
  if (strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &tm) == nullptr) return Milliseconds(-1);
  const int64_t when_ms = static_cast<int64_t>(timegm(&tm)) * 1000;
  return Milliseconds(std::clamp<int64_t>(when_ms - now_ms, 0, 86'400'000));
}

}  // namespace picket::net
