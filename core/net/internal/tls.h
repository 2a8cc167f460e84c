// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/result.h"
#include "core/net/http_config.h"
#include "core/net/internal/connection.h"
#include "core/net/internal/watched_file.h"

namespace picket::net {

/// The TLS context of one configuration, built anew when one of its files has changed.
/// Threads: any. Errors: kNotFound, kIo, kInvalidArgument (not PEM, key does not fit); a context
/// that was once good stays in use, with a warning, while its files are not.
class TlsContext {
 public:
  explicit TlsContext(const TlsConfig& client);
  explicit TlsContext(const TlsServerConfig& server);

  Result<std::shared_ptr<asio::ssl::context>> Get();

 private:
  using Text = std::shared_ptr<const std::string>;
  struct Texts {
    Text ca, cert, key;
    bool operator==(const Texts&) const = default;
  };
  Result<Texts> ReadTexts() const;
  Result<std::shared_ptr<asio::ssl::context>> Build(const Texts& texts) const;

  bool server_;
  TextSource ca_, cert_, key_;
  bool skip_verify_ = false;
  std::string client_auth_;
  TlsVersion min_, max_;
  std::mutex mutex_;  // guards built_from_, context_
  Texts built_from_;
  std::shared_ptr<asio::ssl::context> context_;
};

/// Sets the name to send and to check before a client's handshake.
Status PrepareClientTls(Connection& connection, const TlsConfig& config, const std::string& host);
/// "certificate verify failed: self-signed certificate", with the library's detail where there is
/// one.
std::string TlsErrorText(Connection& connection, const ErrorCode& ec);

}  // namespace picket::net
