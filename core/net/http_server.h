// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server whose handlers are coroutines.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/telemetry.h"
#include "core/base/units.h"
#include "core/net/http_config.h"
#include "core/net/http_headers.h"
#include "core/net/runtime.h"

namespace picket::net {

/// One request, whole. Ownership: all its own; a handler may move parts out.
struct HttpServerRequest {
  std::string method;
  std::string path;                                         ///< percent-decoded, without the query
  std::string query;                                        ///< raw, without '?'
  std::vector<std::pair<std::string, std::string>> params;  ///< from {name} in the route's path
  HttpHeaders headers;
  std::string body;              ///< decompressed if the route decodes, else as sent
  std::string content_encoding;  ///< of `body`: "" or identity when there is nothing left to decode
  uint64_t wire_body_bytes = 0;
  std::string remote;  ///< "127.0.0.1:53211"
  std::string user;    ///< who authenticated
  std::shared_ptr<void>
      hold;  ///< what Admission::hold carried; dropped after the reply unless moved away

  std::string_view Param(std::string_view name) const;
};

/// What was said before the body: enough to refuse it unread.
struct HttpRequestHead {
  std::string_view method;
  std::string_view path;
  const HttpHeaders& headers;
  std::optional<uint64_t> content_length;  ///< absent when chunked
  uint64_t body_limit = 0;                 ///< the most that may come, after decompression
};

struct HttpReply {
  int status = 200;
  HttpHeaders headers;
  std::string body;
  /// Instead of `body`: bytes that others hold too (a page, a cached answer).
  std::shared_ptr<const std::string> shared_body;
  /// Instead of `body`: pieces as they come, sent chunked; an empty piece ends it.
  std::function<asio::awaitable<std::string>()> stream;

  static HttpReply Text(int status, std::string text);
  static HttpReply Json(int status, std::string json);
};

/// The answer of a route's look at the head.
struct Admit {
  std::optional<HttpReply> refusal;  ///< sent at once, the body is not read
  std::shared_ptr<void>
      hold;  ///< say, a share of the memory budget; travels in HttpServerRequest::hold
};

using HttpHandler = std::function<asio::awaitable<HttpReply>(HttpServerRequest)>;

struct HttpRoute {
  std::string method = "GET";  ///< GET answers HEAD too; "*" takes any
  std::string path;            ///< "/metrics", "/api/v1/label/{name}/values", "/assets/*" (prefix)
  HttpHandler handler;
  std::function<Admit(const HttpRequestHead&)> admit;  ///< after the head, before the body
  uint64_t body_limit = 0;                             ///< after decompression; 0: the server's
  bool decode_gzip = true;  ///< other encodings are always handed through
  bool open = false;        ///< needs no authentication (health)
};

struct HttpServerOptions {
  /// "127.0.0.1:9510", "[::1]:0", "localhost:9510", "9510" (loopback), ":9510" (every interface),
  /// "unix:/run/p.sock".
  std::string listen = "127.0.0.1:0";
  WebConfig web;
  std::string name = "http";  ///< label `server` of the metrics
  size_t header_limit = 16 << 10;
  uint64_t body_limit = 16 << 20;
  size_t max_connections = 512;  ///< more are answered 503 and closed
  Milliseconds header_timeout{
      10'000};  ///< from a request's first byte to the end of its head; also the TLS handshake
  Milliseconds body_timeout{60'000};
  Milliseconds write_timeout{60'000};
  Milliseconds idle_timeout{120'000};  ///< between requests
  size_t gzip_above = 1400;  ///< replies from this size are compressed when accepted; 0: never
  int listen_backlog = 1024;
};

/// Serves routes on one address.
/// Threads: all methods from any thread; Stop not from a Runtime thread. Handlers run on any
/// Runtime loop, many at once. Errors: what a handler throws becomes 500 and a log line. 400, 404,
/// 405, 408, 413, 414, 431, 501, 503 are the server's own, as plain text with one sentence.
class HttpServer {
 public:
  HttpServer(Runtime& runtime, HttpServerOptions options);
  ~HttpServer();  ///< Stop(0)

  /// Before Start. More specific paths win: exact, then {parameters}, then prefixes, longest first.
  void Route(HttpRoute route);
  void Get(std::string path, HttpHandler handler);
  void Post(std::string path, HttpHandler handler);
  /// Counts connections, requests by status class, refusals. Before Start.
  void Observe(Telemetry& telemetry);

  /// Binds and begins to accept. Errors: kIo ("listen 127.0.0.1:9510: Address already in use"),
  /// kInvalidArgument.
  Status Start();
  /// The bound port (0 for a unix socket) and "127.0.0.1:9510".
  uint16_t port() const;
  std::string address() const;
  /// Takes new TLS and authentication settings for new connections and requests.
  Status SetWeb(WebConfig web);
  /// Stops accepting, closes idle connections, lets requests in flight finish within `drain`, then
  /// cancels them.
  void Stop(Duration drain);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Decodes "a=1&b=%20x" into pairs, in order. '+' is a space.
std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query);

}  // namespace picket::net
