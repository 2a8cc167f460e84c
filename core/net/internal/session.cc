// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <ctime>

#include "core/base/log.h"
#include "core/net/gzip.h"
#include "core/net/internal/bodies.h"
#include "core/net/url.h"

namespace picket::net {
namespace {

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr uint64_t kDiscardUpTo = 256 << 10;  // cheaper than a new connection
constexpr uint64_t kLingerUpTo = 4 << 20;
constexpr auto kLingerFor = std::chrono::seconds(2);

TimePoint In(Milliseconds time) { return std::chrono::steady_clock::now() + time; }

std::string_view HttpDate() {
  thread_local std::time_t at = 0;
  thread_local char text[40];
  if (const std::time_t now = std::time(nullptr); now != at) {
    at = now;
    std::tm tm{};
    gmtime_r(&now, &tm);
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  }
  return text;
}

std::string RemoteName(Socket& socket) {
  ErrorCode ec;
  const auto peer = socket.remote_endpoint(ec);
  const auto* address = reinterpret_cast<const sockaddr*>(peer.data());
  if (ec || (address->sa_family != AF_INET && address->sa_family != AF_INET6)) return "local";
  asio::ip::tcp::endpoint tcp;
  std::memcpy(tcp.data(), peer.data(), std::min(peer.size(), tcp.capacity()));
  return fmt::format("{}{}{}:{}", tcp.address().is_v6() ? "[" : "", tcp.address().to_string(),
                     tcp.address().is_v6() ? "]" : "", tcp.port());
}

bool Compressible(std::string_view type) {
  return type.starts_with("text/") || type.find("json") != std::string_view::npos ||
         type.find("javascript") != std::string_view::npos ||
         type.starts_with("application/openmetrics-text") || type.starts_with("image/svg") ||
         type.find("xml") != std::string_view::npos;
}

// Splits "/a?b" or "http://host/a?b". False: not a target that we serve.
bool SplitTarget(std::string_view target, std::string& path, std::string& query) {
  if (const size_t scheme = target.find("://");
      !target.starts_with("/") && scheme != std::string_view::npos) {
    const size_t slash = target.find('/', scheme + 3);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (target == "*") return path = "*", true;
  if (!target.starts_with("/")) return false;
  const size_t mark = target.find('?');
  auto decoded = PercentDecode(target.substr(0, mark), false);
  if (!decoded || decoded->find('\0') != std::string::npos) return false;
  path = *std::move(decoded);
  if (mark != std::string_view::npos) query = std::string(target.substr(mark + 1));
  return true;
}

HttpReply TooLarge(uint64_t limit) {
  return HttpReply::Text(413, fmt::format("The body is over the limit of {} bytes.", limit));
}

}  // namespace

asio::awaitable<void> Session::Run() {
  connection_->SetDeadline(In(server_->options.header_timeout));
  web_ = server_->web();
  const bool secure = !web_->tls || co_await Handshake();
  keep_ = secure;
  while (keep_ && connection_->open() && !server_->stopping.load(std::memory_order_relaxed)) {
    auto head = co_await ReceiveHead();
    if (!head) break;
    web_ = server_->web();
    co_await ServeOne(*std::move(head));
  }
  connection_->Close();
}

asio::awaitable<bool> Session::Handshake() {
  idle_ = false;
  auto context = web_->tls->Get();
  if (!context) {
    log::Error("TLS is not possible",
               {{"server", server_->options.name}, {"error", context.error().ToString()}});
    co_return false;
  }
  connection_->WrapTls(*std::move(context));
  auto [ec] =
      co_await connection_->tls()->async_handshake(asio::ssl::stream_base::server, kAsTuple);
  if (ec)
    log::Debug("TLS handshake failed",
               {{"server", server_->options.name}, {"error", ec.message()}});
  co_return !ec;
}

asio::awaitable<std::optional<RequestHead>> Session::ReceiveHead() {
  const HttpServerOptions& options = server_->options;
  idle_ = true;
  size_t seen = 0;
  size_t end = std::string_view::npos;
  connection_->SetDeadline(
      In(connection_->unread() > 0 ? options.header_timeout : options.idle_timeout));
  for (;;) {
    // An empty line before a request is allowed (RFC 9112 section 2.2).
    while (connection_->in.view().substr(connection_->used).starts_with("\r\n")) {
      connection_->Take(2);
      seen = 0;
    }
    const std::string_view bytes = connection_->in.view().substr(connection_->used);
    end = FindHeadEnd(bytes, seen);
    if (end != std::string_view::npos && end <= options.header_limit) break;
    if (end != std::string_view::npos || bytes.size() >= options.header_limit) {
      keep_ = false;
      body_unread_ = true;
      HttpReply reply = HttpReply::Text(
          431, fmt::format("The header is over the limit of {} bytes.", options.header_limit));
      co_await Send(std::move(reply), nullptr);
      co_return std::nullopt;
    }
    seen = bytes.size();
    const bool first = bytes.empty();
    const IoResult r = co_await connection_->Fill(options.header_limit);
    if (r.ec)
      co_return std::nullopt;  // gone, idle too long, or too slow: nobody would read an answer
    if (first) connection_->SetDeadline(In(options.header_timeout));
    // TLS or another protocol on this port: say so now instead of waiting for a line that never
    // ends.
    if (first && connection_->in.data()[connection_->used] != '\r' &&
        !IsToken(connection_->in.view().substr(connection_->used, 1))) {
      end = connection_->unread();
      break;
    }
    idle_ = false;
  }
  idle_ = false;
  auto head = ParseRequestHead(connection_->Take(end));
  if (head) co_return *std::move(head);
  keep_ = false;
  body_unread_ = true;
  HttpReply reply = HttpReply::Text(head.error().status, head.error().why);
  co_await Send(std::move(reply), nullptr);
  co_return std::nullopt;
}

asio::awaitable<void> Session::ServeOne(RequestHead head) {
  keep_ = head.keep_alive;
  body_unread_ = head.chunked || head.content_length.value_or(0) > 0;
  sent_continue_ = false;
  HttpServerRequest request;
  request.method = head.method;
  auto reply = co_await LookAtHead(head, request);
  if (!reply && body_unread_) reply = co_await ReceiveBody(head, request);
  if (!connection_->open()) co_return;
  // The deadline is for the peer; a handler takes the time it takes.
  connection_->ClearDeadline();
  request.headers = head.headers;
  const std::shared_ptr<void> hold = request.hold;
  if (!reply) reply = co_await Handle(std::move(request));
  const bool cancelled = co_await IsCancelled();  // by Stop: the handler did not finish in time
  if (cancelled) {
    connection_->Close();
    co_return;
  }
  if (body_unread_) co_await Discard(head);
  co_await Send(*std::move(reply), &head);
}

asio::awaitable<std::optional<HttpReply>> Session::LookAtHead(const RequestHead& head,
                                                              HttpServerRequest& request) {
  if (!SplitTarget(head.target, request.path, request.query))
    co_return HttpReply::Text(400, "The request's target is not a path.");
  Router::Match match = server_->router.Find(head.method, request.path);
  if (web_->auth && web_->auth->needed() && !match.open) {
    auto verdict = co_await web_->auth->Check(std::string(head.headers.Get("authorization")));
    if (!verdict.allowed) {
      HttpReply reply = HttpReply::Text(401, "Authentication is required.");
      reply.headers.Add("WWW-Authenticate", web_->auth->Challenge());
      co_return reply;
    }
    request.user = std::move(verdict.user);
  }
  if (!match.route) {
    if (match.allow.empty() && request.path != "*")
      co_return HttpReply::Text(404, fmt::format("There is nothing at {}.", request.path));
    HttpReply reply =
        head.method == "OPTIONS"
            ? HttpReply{204, {}, {}, nullptr, nullptr}
            : HttpReply::Text(405, fmt::format("{} takes {}.", request.path, match.allow));
    reply.headers.Add("Allow",
                      match.allow.empty() ? "GET, HEAD, OPTIONS" : match.allow + ", OPTIONS");
    co_return reply;
  }
  route_ = match.route;
  request.params = std::move(match.params);
  body_limit_ = route_->body_limit > 0 ? route_->body_limit : server_->options.body_limit;
  if (head.content_length.value_or(0) > body_limit_) co_return TooLarge(body_limit_);
  if (route_->admit) {
    const HttpRequestHead look{
        head.method, request.path, head.headers,
        head.chunked ? std::optional<uint64_t>() : head.content_length.value_or(0), body_limit_};
    Admit admit = route_->admit(look);
    if (admit.refusal) co_return *std::move(admit.refusal);
    request.hold = std::move(admit.hold);
  }
  co_return std::nullopt;
}

asio::awaitable<std::optional<HttpReply>> Session::ReceiveBody(const RequestHead& head,
                                                               HttpServerRequest& request) {
  connection_->SetDeadline(In(server_->options.body_timeout));
  if (head.expects_continue && connection_->unread() == 0) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    const asio::const_buffer piece(kContinue.data(), kContinue.size());
    sent_continue_ = true;
    const IoResult r = co_await connection_->Write({&piece, 1});
    if (r.ec) co_return HttpReply::Text(400, "The connection closed.");
  }
  const std::string_view coding = head.headers.Get("content-encoding");
  const bool gzip =
      route_->decode_gzip && (EqualsNoCase(coding, "gzip") || EqualsNoCase(coding, "x-gzip"));
  if (!gzip && !EqualsNoCase(coding, "identity")) request.content_encoding = std::string(coding);
  Status status;
  std::optional<HttpReply> reply;
  if (!gzip && !head.chunked) {
    const size_t n = static_cast<size_t>(*head.content_length);
    // Not the size that is passed in: libstdc++ 12 passes the capacity it grew to.
    request.body.resize_and_overwrite(n, [n](char*, size_t) { return n; });
    status = co_await ReadSized(*connection_, request.body.data(), n);
    request.wire_body_bytes = n;
  } else {
    auto raw = server_->scratch.Take();
    status = co_await ReadBody(*connection_, head, false, body_limit_, *raw);
    request.wire_body_bytes = raw->size();
    if (status && gzip)
      reply = Unpack(*raw, request);
    else if (status)
      request.body.assign(raw->view());
    server_->scratch.Give(std::move(raw));
  }
  server_->received_bytes->Add(request.wire_body_bytes);
  if (status) {
    body_unread_ = false;
    co_return reply;
  }
  keep_ = false;
  if (status.error().kind() == ErrorKind::kLimit) co_return TooLarge(body_limit_);
  if (status.error().kind() == ErrorKind::kCorrupt)
    co_return HttpReply::Text(400, status.error().message());
  co_return HttpReply::Text(408,
                            "The body did not arrive.");  // not sent when the connection is closed
}

std::optional<HttpReply> Session::Unpack(BodyBuffer& raw, HttpServerRequest& request) {
  auto plain = server_->scratch.Take();
  const Status status = GzipDecode(raw.view(), body_limit_, *plain);
  std::optional<HttpReply> reply;
  if (status)
    request.body.assign(plain->view());
  else if (status.error().kind() == ErrorKind::kLimit)
    reply = TooLarge(body_limit_);
  else
    reply = HttpReply::Text(400, status.error().message());
  server_->scratch.Give(std::move(plain));
  return reply;
}

asio::awaitable<HttpReply> Session::Handle(HttpServerRequest request) {
  request.remote = RemoteName(connection_->socket());
  const std::string path = request.path;
  std::string fault;
  try {
    co_return co_await route_->handler(std::move(request));
  } catch (const std::exception& e) {
    fault = e.what();
  }
  log::Error("A request's handler failed",
             {{"server", server_->options.name}, {"path", path}, {"error", fault}});
  co_return HttpReply::Text(500, "Internal error; the log has the details.");
}

std::string Session::RenderHead(const HttpReply& reply, std::optional<size_t> length,
                                bool chunked) const {
  std::string head;
  head.reserve(256);
  fmt::format_to(std::back_inserter(head), "HTTP/1.1 {} {}\r\nDate: {}\r\n", reply.status,
                 StatusText(reply.status), HttpDate());
  for (const HttpField& f : reply.headers) {
    // A handler that echoes input must not be able to add fields.
    if (!IsToken(f.name) || !IsFieldValue(f.value)) continue;
    fmt::format_to(std::back_inserter(head), "{}: {}\r\n", f.name, f.value);
  }
  if (web_)
    for (const auto& [name, value] : web_->config.headers)
      fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
  if (length) fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", *length);
  if (chunked) head += "Transfer-Encoding: chunked\r\n";
  head += keep_ ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return head;
}

asio::awaitable<void> Session::Send(HttpReply reply, const RequestHead* head) {
  connection_->SetDeadline(In(server_->options.write_timeout));
  if (server_->stopping.load(std::memory_order_relaxed)) keep_ = false;
  const size_t kind = static_cast<size_t>(std::clamp(reply.status / 100, 2, 5) - 2);
  if (server_->answered[kind]) server_->answered[kind]->Add();
  const bool to_head = head != nullptr && head->method == "HEAD";
  const bool bodiless = reply.status / 100 == 1 || reply.status == 204 || reply.status == 304;
  if (reply.stream && !bodiless && !to_head) {
    const bool chunked = head != nullptr && head->version == 11;
    if (!chunked) keep_ = false;
    const std::string text = RenderHead(reply, std::nullopt, chunked);
    const asio::const_buffer piece(text.data(), text.size());
    const IoResult r = co_await connection_->Write({&piece, 1});
    bool whole = !r.ec;
    if (whole) whole = co_await SendStream(reply, chunked);
    if (!whole) keep_ = false;
    if (!keep_) co_await Linger();
    co_return;
  }
  std::string_view body =
      reply.shared_body ? std::string_view(*reply.shared_body) : std::string_view(reply.body);
  std::string packed;
  const size_t above = server_->options.gzip_above;
  if (!bodiless && above > 0 && body.size() >= above && head != nullptr &&
      !reply.headers.Has("content-encoding") && Compressible(reply.headers.Get("content-type"))) {
    reply.headers.Add("Vary", "Accept-Encoding");
    if (ListHas(head->headers.Get("accept-encoding"), "gzip")) {
      packed = GzipEncode(body);
      body = packed;
      reply.headers.Add("Content-Encoding", "gzip");
    }
  }
  const std::string text =
      RenderHead(reply, bodiless ? std::nullopt : std::optional(body.size()), false);
  if (to_head || bodiless) body = {};
  const std::array<asio::const_buffer, 2> pieces{asio::const_buffer(text.data(), text.size()),
                                                 asio::const_buffer(body.data(), body.size())};
  const IoResult r =
      co_await connection_->Write({pieces.data(), body.empty() ? size_t{1} : size_t{2}});
  if (r.ec) keep_ = false;
  server_->sent_bytes->Add(body.size());
  if (!keep_ && !r.ec) co_await Linger();
}

asio::awaitable<bool> Session::SendStream(const HttpReply& reply, bool chunked) {
  for (;;) {
    connection_->ClearDeadline();
    const std::string piece = co_await reply.stream();
    connection_->SetDeadline(In(server_->options.write_timeout));
    if (piece.empty() && !chunked) co_return true;
    const std::string before = piece.empty() ? "0\r\n\r\n" : fmt::format("{:x}\r\n", piece.size());
    static constexpr std::string_view kCrLf = "\r\n";
    const std::array<asio::const_buffer, 3> framed{asio::const_buffer(before.data(), before.size()),
                                                   asio::const_buffer(piece.data(), piece.size()),
                                                   asio::const_buffer(kCrLf.data(), kCrLf.size())};
    const std::span<const asio::const_buffer> all(framed);
    const IoResult r = co_await connection_->Write(!chunked        ? all.subspan(1, 1)
                                                   : piece.empty() ? all.first(1)
                                                                   : all);
    server_->sent_bytes->Add(piece.size());
    if (r.ec) co_return false;
    if (piece.empty()) co_return true;
  }
}

// A body nobody wants: read over when that is cheaper than a new connection, else the connection
// ends.
asio::awaitable<void> Session::Discard(const RequestHead& head) {
  const bool waits = head.expects_continue && !sent_continue_;
  if (head.chunked || waits || head.content_length.value_or(0) > kDiscardUpTo || !keep_) {
    keep_ = false;
    co_return;
  }
  connection_->SetDeadline(In(server_->options.body_timeout));
  auto raw = server_->scratch.Take();
  const Status status = co_await ReadBody(*connection_, head, false, kDiscardUpTo, *raw);
  server_->scratch.Give(std::move(raw));
  body_unread_ = false;
  if (!status) keep_ = false;
}

// Closing with unread bytes makes the kernel reset the connection, and the peer may lose the answer
// to that.
asio::awaitable<void> Session::Linger() {
  if (!body_unread_ || !connection_->open()) co_return;
  connection_->SetDeadline(std::chrono::steady_clock::now() + kLingerFor);
  ErrorCode ignored;
  if (!connection_->tls()) connection_->socket().shutdown(Socket::shutdown_send, ignored);
  connection_->Take(connection_->unread());
  for (uint64_t total = 0; total < kLingerUpTo;) {
    const IoResult r = co_await connection_->Fill(64 << 10);
    if (r.ec) break;
    total += r.bytes;
    connection_->Take(connection_->unread());
  }
}

}  // namespace picket::net
