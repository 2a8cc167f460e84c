// SPDX-License-Identifier: Apache-2.0
#include "core/net/http_server.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <charconv>
#include <list>

#include "core/base/log.h"
#include "core/net/internal/session.h"
#include "core/net/metrics.h"
#include "core/net/url.h"

namespace picket::net {
namespace {

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
using Protocol = asio::generic::stream_protocol;
using Endpoint = Protocol::endpoint;

struct ListenAddress {
  Endpoint endpoint;
  std::string unix_path;
};

Error BadListen(const std::string& text, std::string_view why) {
  return Error(ErrorKind::kInvalidArgument, fmt::format("listen address \"{}\" {}", text, why))
      .Remedy("Write it as 127.0.0.1:9510, or :9510 for every interface.");
}

Result<ListenAddress> ParseListen(const std::string& text) {
  ListenAddress out;
  if (text.starts_with("unix:")) {
    out.unix_path = text.substr(text.starts_with("unix://") ? 7 : 5);
    if (out.unix_path.empty() || out.unix_path.size() > 100)
      return Fail(BadListen(text, "has no fitting socket path"));
    out.endpoint = asio::local::stream_protocol::endpoint(out.unix_path);
    return out;
  }
  const size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
  const std::string port_text = colon == std::string::npos ? text : text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, ec] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (ec != std::errc() || end != port_text.data() + port_text.size() || port_text.empty())
    return Fail(BadListen(text, "has no port in 0..65535"));
  if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  if (host.empty() || host == "*") host = "0.0.0.0";
  boost::system::error_code bad;
  const auto address = asio::ip::make_address(host, bad);
  if (bad) return Fail(BadListen(text, "has a host that is not an address"));
  out.endpoint = asio::ip::tcp::endpoint(address, port);
  return out;
}

}  // namespace

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  Impl(Runtime& r, HttpServerOptions o)
      : state(std::make_shared<ServerState>(r, std::move(o))),
        where(r.Next()),
        acceptor(where),
        tasks(r) {}

  asio::awaitable<void> Accept();
  asio::awaitable<void> Serve(std::shared_ptr<Session> session);
  void Admit(Socket socket);
  Status Bind();
  void EndIdle();

  std::shared_ptr<ServerState> state;
  asio::any_io_executor where;
  asio::basic_socket_acceptor<Protocol> acceptor;
  Tasks tasks;
  std::string unix_path;
  std::string address;
  uint16_t port = 0;
  std::mutex mutex;  // guards sessions
  std::list<std::shared_ptr<Session>> sessions;
};

std::string_view HttpServerRequest::Param(std::string_view name) const {
  for (const auto& [key, value] : params)
    if (key == name) return value;
  return {};
}

HttpReply HttpReply::Text(int status, std::string text) {
  HttpReply reply;
  reply.status = status;
  reply.headers.Add("Content-Type", "text/plain; charset=utf-8");
  reply.headers.Add("X-Content-Type-Options", "nosniff");  // texts may quote the request
  reply.body = std::move(text);
  if (!reply.body.ends_with('\n')) reply.body += '\n';
  return reply;
}

HttpReply HttpReply::Json(int status, std::string json) {
  HttpReply reply;
  reply.status = status;
  reply.headers.Add("Content-Type", "application/json");
  reply.body = std::move(json);
  return reply;
}

HttpServer::HttpServer(Runtime& runtime, HttpServerOptions options)
    : impl_(std::make_shared<Impl>(runtime, std::move(options))) {}

HttpServer::~HttpServer() { Stop(Duration(0)); }

void HttpServer::Route(HttpRoute route) { impl_->state->router.Add(std::move(route)); }

void HttpServer::Get(std::string path, HttpHandler handler) {
  HttpRoute route;
  route.path = std::move(path);
  route.handler = std::move(handler);
  Route(std::move(route));
}

void HttpServer::Post(std::string path, HttpHandler handler) {
  HttpRoute route;
  route.method = "POST";
  route.path = std::move(path);
  route.handler = std::move(handler);
  Route(std::move(route));
}

void HttpServer::Observe(Telemetry& telemetry) {
  ServerState& s = *impl_->state;
  const TelemetryLabels labels{{"server", s.options.name}};
  s.connections = telemetry.AddGauge(metrics::kConnections, labels);
  s.refused_connections = telemetry.AddCounter(metrics::kRefusedConnections, labels);
  s.received_bytes = telemetry.AddCounter(metrics::kReceivedBytes, labels);
  s.sent_bytes = telemetry.AddCounter(metrics::kSentBytes, labels);
  for (size_t i = 0; i < s.answered.size(); ++i) {
    TelemetryLabels with_class = labels;
    with_class.emplace_back("status", fmt::format("{}xx", i + 2));
    s.answered[i] = telemetry.AddCounter(metrics::kRequests, with_class);
  }
}

Status HttpServer::SetWeb(WebConfig web) {
  PICKET_TRY(web.Validate());
  auto next = std::make_shared<ServerState::Web>();
  next->auth = std::make_unique<WebAuth>(impl_->state->runtime, web);
  if (web.tls_server_config) {
    next->tls = std::make_unique<TlsContext>(*web.tls_server_config);
    PICKET_TRY(next->tls->Get());
  }
  next->config = std::move(web);
  std::lock_guard lock(impl_->state->mutex);
  impl_->state->current_web = std::move(next);
  return {};
}

Status HttpServer::Impl::Bind() {
  PICKET_ASSIGN(ListenAddress listen, ParseListen(state->options.listen));
  const auto fail = [&](const ErrorCode& ec) {
    return Fail(ErrorKind::kIo, fmt::format("listen {}: {}", state->options.listen, ec.message()));
  };
  if (!listen.unix_path.empty()) {
    struct stat st{};
    if (::stat(listen.unix_path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode))
      ::unlink(listen.unix_path.c_str());
    unix_path = listen.unix_path;
  }
  ErrorCode ec;
  acceptor.open(listen.endpoint.protocol(), ec);
  if (ec) return fail(ec);
  if (unix_path.empty()) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  acceptor.bind(listen.endpoint, ec);
  if (ec) return fail(ec);
  acceptor.listen(state->options.listen_backlog, ec);
  if (ec) return fail(ec);
  if (!unix_path.empty()) {
    address = "unix:" + unix_path;
    return {};
  }
  const auto bound = acceptor.local_endpoint(ec);
  asio::ip::tcp::endpoint tcp;
  std::memcpy(tcp.data(), bound.data(), std::min(bound.size(), tcp.capacity()));
  port = tcp.port();
  address = fmt::format("{}{}{}:{}", tcp.address().is_v6() ? "[" : "", tcp.address().to_string(),
                        tcp.address().is_v6() ? "]" : "", port);
  return {};
}

Status HttpServer::Start() {
  PICKET_TRY(SetWeb(impl_->state->options.web));
  PICKET_TRY(impl_->Bind());
  impl_->tasks.Start(impl_->where, "accept " + impl_->address, impl_->Accept());
  return {};
}

asio::awaitable<void> HttpServer::Impl::Accept() {
  while (!state->stopping) {
    Socket socket(state->runtime.Next());
    auto [ec] = co_await acceptor.async_accept(socket, kAsTuple);
    if (ec == asio::error::operation_aborted || !acceptor.is_open()) co_return;
    if (ec) {  // most likely out of descriptors: others have to go first
      static log::RateLimit limit;
      if (uint64_t held = 0; limit.Allow(held))
        log::Error("Cannot accept a connection",
                   {{"server", state->options.name}, {"error", ec.message()}});
      const bool slept = co_await Sleep(std::chrono::milliseconds(100));
      if (!slept) co_return;
      continue;
    }
    Admit(std::move(socket));
  }
}

void HttpServer::Impl::Admit(Socket socket) {
  ErrorCode ignored;
  if (unix_path.empty()) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto executor = socket.get_executor();
  auto session = std::make_shared<Session>(state, std::make_shared<Connection>(std::move(socket)));
  {
    std::lock_guard lock(mutex);
    if (sessions.size() >= state->options.max_connections) {
      state->refused_connections->Add();
      static constexpr std::string_view kBusy =
          "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: "
          "close\r\n\r\n";
      Socket& s = session->connection().socket();
      s.non_blocking(true, ignored);
      if (!state->web()->tls) s.write_some(asio::buffer(kBusy), ignored);
      return;
    }
    sessions.push_back(session);
    state->connections->Set(static_cast<double>(sessions.size()));
  }
  tasks.Start(executor, "serve " + state->options.name, Serve(std::move(session)));
}

asio::awaitable<void> HttpServer::Impl::Serve(std::shared_ptr<Session> session) {
  // Signs off even when the session is cancelled in the middle.
  struct Leave {
    Impl& impl;
    Session* session;
    ~Leave() {
      std::lock_guard lock(impl.mutex);
      std::erase_if(impl.sessions, [this](const auto& s) { return s.get() == session; });
      impl.state->connections->Set(static_cast<double>(impl.sessions.size()));
    }
  };
  const Leave leave{*this, session.get()};
  co_await session->Run();
}

void HttpServer::Impl::EndIdle() {
  std::lock_guard lock(mutex);
  for (const auto& session : sessions) {
    asio::post(session->connection().executor(), [session] {
      if (session->idle()) session->connection().Close();
    });
  }
}

uint16_t HttpServer::port() const { return impl_->port; }
std::string HttpServer::address() const { return impl_->address; }

void HttpServer::Stop(Duration drain) {
  if (impl_->state->stopping.exchange(true)) return;
  asio::post(impl_->where, [impl = impl_] {
    ErrorCode ignored;
    impl->acceptor.close(ignored);
  });
  impl_->EndIdle();
  impl_->tasks.Stop(drain);
  if (!impl_->unix_path.empty()) ::unlink(impl_->unix_path.c_str());
}

std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!query.empty()) {
    const size_t amp = query.find('&');
    const std::string_view pair = query.substr(0, amp);
    query = amp == std::string_view::npos ? std::string_view() : query.substr(amp + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    auto name = PercentDecode(pair.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? Result<std::string>("")
                                                  : PercentDecode(pair.substr(equals + 1), true);
    if (name && value) out.emplace_back(*std::move(name), *std::move(value));
  }
  return out;
}

}  // namespace picket::net
