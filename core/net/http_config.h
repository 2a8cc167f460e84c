// SPDX-License-Identifier: Apache-2.0
// The HTTP settings of Prometheus' configuration, client side, and of its web file, server side.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/secret.h"

namespace picket::config {
template <class T>
class Object;
}

namespace picket::net {

/// 0: the library's choice.
enum class TlsVersion : uint8_t { kDefault, kTls10, kTls11, kTls12, kTls13 };

/// Source: Prometheus documentation, <tls_config>. Files are read anew when they change.
struct TlsConfig {
  std::string ca;
  std::string ca_file;
  std::string cert;
  std::string cert_file;
  Secret key;
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  TlsVersion min_version = TlsVersion::kDefault;
  TlsVersion max_version = TlsVersion::kDefault;
};

struct BasicAuthConfig {
  std::string username;
  std::string username_file;
  Secret password;
  std::string password_file;
};

struct AuthorizationConfig {
  std::string type = "Bearer";
  Secret credentials;
  std::string credentials_file;
};

/// One header of `http_headers`.
struct HttpHeaderConfig {
  std::vector<std::string> values;
  std::vector<Secret> secrets;
  std::vector<std::string> files;
};

/// How a client authenticates and encrypts. Source: Prometheus documentation, <http_config>.
struct HttpClientConfig {
  std::optional<BasicAuthConfig> basic_auth;
  std::optional<AuthorizationConfig> authorization;
  Secret bearer_token;
  std::string bearer_token_file;
  TlsConfig tls_config;
  bool follow_redirects = true;
  bool enable_http2 = true;  ///< accepted; HTTP/1.1 is what is spoken
  std::map<std::string, HttpHeaderConfig> http_headers;
  bool proxy_from_environment = false;  ///< not supported; refused when true

  /// The cross checks of the loader, for configurations that were not loaded. First fault only.
  Status Validate() const;
};

/// Source: exporter-toolkit, web configuration.
struct TlsServerConfig {
  std::string cert;
  std::string cert_file;
  Secret key;
  std::string key_file;
  std::string client_ca;
  std::string client_ca_file;
  std::string client_auth_type =
      "NoClientCert";  ///< or Request-, RequireAny-, VerifyClientCertIfGiven,
                       ///< RequireAndVerifyClientCert
  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kDefault;
};

/// Who may talk to a server. Any one of the ways is enough.
struct WebConfig {
  std::optional<TlsServerConfig> tls_server_config;
  std::map<std::string, Secret>
      basic_auth_users;  ///< user: bcrypt hash ($2y$...), or a plain password
  std::map<std::string, std::string> basic_auth_user_files;  ///< user: file with either
  Secret bearer_token;
  std::string bearer_token_file;
  std::map<std::string, std::string> headers;  ///< added to every reply

  bool Authenticates() const {
    return !basic_auth_users.empty() || !basic_auth_user_files.empty() || !bearer_token.empty() ||
           !bearer_token_file.empty();
  }
  Status Validate() const;
};

void Declare(config::Object<TlsConfig>& o);
void Declare(config::Object<BasicAuthConfig>& o);
void Declare(config::Object<AuthorizationConfig>& o);
void Declare(config::Object<HttpHeaderConfig>& o);
void Declare(config::Object<HttpClientConfig>& o);
void Declare(config::Object<TlsServerConfig>& o);
void Declare(config::Object<WebConfig>& o);

}  // namespace picket::net
