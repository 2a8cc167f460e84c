// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>

#include "core/net/gzip.h"
#include "core/net/internal/bodies.h"

namespace picket::net {
namespace {

constexpr int kMostRedirects = 10;

void AppendField(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Fields that this client writes itself or that name the person behind the request.
bool IsFraming(std::string_view name) {
  return EqualsNoCase(name, "host") || EqualsNoCase(name, "content-length") ||
         EqualsNoCase(name, "transfer-encoding") || EqualsNoCase(name, "connection");
}
bool IsPersonal(std::string_view name) {
  return EqualsNoCase(name, "authorization") || EqualsNoCase(name, "cookie") ||
         EqualsNoCase(name, "proxy-authorization") || EqualsNoCase(name, "www-authenticate");
}

}  // namespace

Exchange::Exchange(std::shared_ptr<ClientState> client, HttpRequest request)
    : client_(std::move(client)),
      request_(std::move(request)),
      deadline_(std::chrono::steady_clock::now() + request_.timeout) {}

// The sentence a target's or destination's page shows.
Error Exchange::Explain(Error error) const {
  const std::string what = fmt::format("{} {}", request_.method, url_.ToString());
  if (error.kind() == ErrorKind::kTimeout && std::chrono::steady_clock::now() >= deadline_)
    return Error(ErrorKind::kTimeout,
                 fmt::format("{}: timeout of {} exceeded: {}", what,
                             FormatDuration(request_.timeout), error.message()));
  return std::move(error).Context(what);
}

asio::awaitable<Result<HttpResponse>> Exchange::Run() {
  auto url = Url::Parse(request_.url);
  if (!url) co_return Fail(std::move(url).error());
  url_ = *std::move(url);
  first_origin_ = url_.Origin();
  for (int hops = 0;; ++hops) {
    auto response = co_await Once();
    if (!response) co_return Fail(Explain(std::move(response).error()));
    response->url = url_.ToString();
    Result<Url> next = url_;
    if (!Redirect(*response, next)) co_return response;
    if (!next) co_return Fail(Explain(std::move(next).error()));
    if (hops == kMostRedirects)
      co_return Fail(
          Explain(Error(ErrorKind::kIo, fmt::format("more than {} redirects", kMostRedirects))));
    url_ = *std::move(next);
    away_ = url_.Origin() != first_origin_;
  }
}

// Decides where to go next, and with what. Source: RFC 9110 section 15.4; credentials as
// Prometheus 3.13.
bool Exchange::Redirect(const HttpResponse& response, Result<Url>& next) {
  if (!client_->config.follow_redirects || !IsRedirect(response.status)) return false;
  const std::string_view location = response.headers.Get("location");
  if (location.empty()) return false;
  next = url_.Resolve(location);
  const bool keeps_method = response.status == 307 || response.status == 308;
  if (!keeps_method && request_.method != "GET" && request_.method != "HEAD") {
    request_.method = "GET";
    request_.body.clear();
    request_.headers.Remove("content-type");
    request_.headers.Remove("content-encoding");
  }
  return true;
}

Status Exchange::RenderCredentials(std::string& head) const {
  if (away_) return {};
  HttpHeaders extra;
  if (!request_.headers.Has("authorization")) {
    PICKET_ASSIGN(std::string authorization, client_->credentials.Authorization());
    if (authorization.empty() && !url_.userinfo.empty()) {
      PICKET_ASSIGN(std::string plain, PercentDecode(url_.userinfo, false));
      authorization = "Basic " + Base64Encode(plain);
    }
    if (!authorization.empty()) extra.Add("Authorization", std::move(authorization));
  }
  PICKET_TRY(client_->credentials.AppendHeaders(extra));
  for (const HttpField& f : extra) {
    if (!IsToken(f.name) || !IsFieldValue(f.value))
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("header {} has characters that a header cannot carry", f.name));
    AppendField(head, f.name, f.value);
  }
  return {};
}

Result<std::string> Exchange::RenderHead() const {
  if (!IsToken(request_.method)) return Fail(ErrorKind::kInvalidArgument, "method is not a token");
  std::string head;
  head.reserve(384);
  head.append(request_.method).append(" ").append(url_.target).append(" HTTP/1.1\r\n");
  AppendField(head, "Host", url_.Authority());
  if (!request_.headers.Has("user-agent"))
    AppendField(head, "User-Agent", client_->options.user_agent);
  if (!request_.headers.Has("accept-encoding"))
    AppendField(head, "Accept-Encoding", request_.accept_gzip ? "gzip" : "identity");
  for (const HttpField& f : request_.headers) {
    if (IsFraming(f.name) || (away_ && IsPersonal(f.name))) continue;
    if (!IsToken(f.name) || !IsFieldValue(f.value))
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("header {} has characters that a header cannot carry", f.name));
    AppendField(head, f.name, f.value);
  }
  PICKET_TRY(RenderCredentials(head));
  size_t length = 0;
  for (std::string_view piece : request_.body) length += piece.size();
  if (length > 0 || (request_.method != "GET" && request_.method != "HEAD"))
    AppendField(head, "Content-Length", fmt::format("{}", length));
  head += "\r\n";
  return head;
}

asio::awaitable<Result<ConnectionPtr>> Exchange::Open(bool& reused, bool only_new) {
  auto executor = co_await asio::this_coro::executor;
  auto& loop = asio::query(executor, asio::execution::context);
  pool_key_ = url_.Origin();
  if (url_.scheme == "https") {
    auto identity = client_->connector.TlsIdentity();
    if (!identity) co_return Fail(std::move(identity).error());
    pool_key_ += fmt::format("#{}", *identity);
  }
  reused = false;
  if (!only_new) {
    if (auto kept = client_->pool.Take(pool_key_, loop)) {
      reused = true;
      co_return kept;
    }
  }
  TimePoint deadline = deadline_;
  if (request_.connect_timeout.count() > 0)
    deadline = std::min(deadline, std::chrono::steady_clock::now() + request_.connect_timeout);
  co_return co_await client_->connector.Connect(url_, deadline);
}

asio::awaitable<Result<HttpResponse>> Exchange::Once() {
  auto head = RenderHead();
  if (!head) co_return Fail(std::move(head).error());
  bool reused = false;
  for (bool only_new = false;; only_new = true) {
    auto connection = co_await Open(reused, only_new);
    if (!connection) co_return Fail(std::move(connection).error());
    Attempt attempt = co_await Try(*connection, *head);
    // The other side may close a kept connection at the moment we use it: that is not an answer.
    if (attempt.stale && reused) continue;
    if (attempt.response) attempt.response->reused = reused;
    co_return std::move(attempt.response);
  }
}

asio::awaitable<Exchange::Attempt> Exchange::Try(ConnectionPtr connection,
                                                 const std::string& head) {
  connection->SetDeadline(deadline_);
  std::vector<asio::const_buffer> pieces;
  pieces.reserve(request_.body.size() + 1);
  pieces.emplace_back(head.data(), head.size());
  for (std::string_view piece : request_.body) pieces.emplace_back(piece.data(), piece.size());
  const IoResult sent = co_await connection->Write(pieces);
  if (sent.ec && (connection->expired() || sent.ec == asio::error::operation_aborted))
    co_return Attempt{Fail(SocketError(*connection, sent.ec, "sending the request")), false};
  // A server that refuses early answers and closes while we still send: its answer is worth
  // reading.
  bool any_byte = false;
  auto answer = co_await ReceiveHead(*connection, any_byte);
  if (!answer) {
    const bool gone = answer.error().kind() == ErrorKind::kIo && !any_byte;
    if (sent.ec) answer = Fail(SocketError(*connection, sent.ec, "sending the request"));
    co_return Attempt{Fail(std::move(answer).error()), gone};
  }
  HttpResponse response;
  response.status = answer->status;
  if (Status body = co_await ReceiveBody(*connection, *answer, response); !body)
    co_return Attempt{Fail(std::move(body).error()), false};
  if (answer->keep_alive && !sent.ec && connection->unread() == 0) {
    auto executor = co_await asio::this_coro::executor;
    client_->pool.Give(pool_key_, asio::query(executor, asio::execution::context),
                       std::move(connection));
  }
  response.headers = std::move(answer->headers);
  co_return Attempt{std::move(response), false};
}

asio::awaitable<Result<ResponseHead>> Exchange::ReceiveHead(Connection& connection,
                                                            bool& any_byte) {
  for (;;) {
    size_t seen = 0;
    size_t end = std::string_view::npos;
    for (;;) {
      const std::string_view bytes = connection.in.view().substr(connection.used);
      end = FindHeadEnd(bytes, seen);
      if (end != std::string_view::npos && end <= request_.header_limit) break;
      if (bytes.size() >= request_.header_limit || end != std::string_view::npos)
        co_return Fail(ErrorKind::kLimit,
                       fmt::format("header of the answer is over the limit of {} bytes",
                                   request_.header_limit));
      seen = bytes.size();
      const IoResult r = co_await connection.Fill(request_.header_limit);
      if (r.ec) co_return Fail(SocketError(connection, r.ec, "waiting for the answer"));
      any_byte = true;
    }
    any_byte = true;
    auto head = ParseResponseHead(connection.Take(end), request_.method == "HEAD");
    if (!head || head->status / 100 != 1) co_return head;
    if (head->status == 101)
      co_return Fail(ErrorKind::kCorrupt, "answer switches protocols unasked");
  }
}

asio::awaitable<Status> Exchange::ReceiveBody(Connection& connection, ResponseHead& head,
                                              HttpResponse& out) {
  BodyBuffer& into = request_.into != nullptr ? *request_.into : out.own;
  const std::string_view coding = head.headers.Get("content-encoding");
  // Coded by itself, as for a Parquet file, when we did not ask for it: handed through.
  const bool gzip = EqualsNoCase(coding, "gzip") || EqualsNoCase(coding, "x-gzip");
  if (!gzip) {
    PICKET_CO_TRY(co_await ReadBody(connection, head, head.until_close, request_.body_limit, into));
    out.wire_body_bytes = into.size();
    out.body = into.view();
    co_return Status();
  }
  auto packed = client_->scratch.Take();
  // Compressed is hardly ever larger than plain; a little room for what cannot be compressed.
  const uint64_t limit =
      request_.body_limit == 0 ? 0 : request_.body_limit + request_.body_limit / 64 + 1024;
  Status status = co_await ReadBody(connection, head, head.until_close, limit, *packed);
  out.wire_body_bytes = packed->size();
  if (status) status = GzipDecode(packed->view(), request_.body_limit, into);
  client_->scratch.Give(std::move(packed));
  out.body = status ? into.view() : std::string_view();
  co_return status;
}

}  // namespace picket::net
