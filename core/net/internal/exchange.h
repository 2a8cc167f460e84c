// SPDX-License-Identifier: Apache-2.0
// One Fetch: redirects around retries around one request and its answer.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/net/http_client.h"
#include "core/net/internal/connector.h"
#include "core/net/internal/credentials.h"
#include "core/net/internal/http_head.h"
#include "core/net/url.h"

namespace picket::net {

/// What the Fetches of a client share.
struct ClientState {
  ClientState(Runtime& r, HttpClientConfig c, HttpClientOptions o)
      : runtime(r),
        config(std::move(c)),
        options(std::move(o)),
        credentials(config),
        connector(r, config.tls_config),
        pool(options.idle_per_origin, options.idle_timeout) {}
  Runtime& runtime;
  const HttpClientConfig config;
  const HttpClientOptions options;
  const Credentials credentials;
  Connector connector;
  ConnectionPool pool;
  BufferPool scratch;  ///< for compressed bodies
};

class Exchange {
 public:
  Exchange(std::shared_ptr<ClientState> client, HttpRequest request);
  asio::awaitable<Result<HttpResponse>> Run();

 private:
  /// Nothing of an answer has come yet and the connection is gone: another one may be tried.
  struct Attempt {
    Result<HttpResponse> response;
    bool stale = false;
  };

  Result<std::string> RenderHead() const;
  Status RenderCredentials(std::string& head) const;
  asio::awaitable<Result<HttpResponse>> Once();
  asio::awaitable<Result<ConnectionPtr>> Open(bool& reused, bool only_new);
  asio::awaitable<Attempt> Try(ConnectionPtr connection, const std::string& head);
  asio::awaitable<Result<ResponseHead>> ReceiveHead(Connection& connection, bool& any_byte);
  asio::awaitable<Status> ReceiveBody(Connection& connection, ResponseHead& head,
                                      HttpResponse& out);
  bool Redirect(const HttpResponse& response, Result<Url>& next);
  Error Explain(Error error) const;

  std::shared_ptr<ClientState> client_;
  HttpRequest request_;
  Url url_;
  std::string first_origin_;
  TimePoint deadline_;
  bool away_ = false;  // redirected to another origin: credentials stay behind
  std::string pool_key_;
};

}  // namespace picket::net
