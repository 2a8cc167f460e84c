// SPDX-License-Identifier: Apache-2.0
#include "core/net/http_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/config/object.h"
#include "core/net/http_headers.h"

namespace picket::net {
namespace {

// Headers that the protocols above write themselves. Source: Prometheus, common/config headers.
constexpr std::array<std::string_view, 18> kReserved{"Authorization",
                                                     "Host",
                                                     "Content-Encoding",
                                                     "Content-Length",
                                                     "Content-Type",
                                                     "User-Agent",
                                                     "Connection",
                                                     "Keep-Alive",
                                                     "Proxy-Authenticate",
                                                     "Proxy-Authorization",
                                                     "WWW-Authenticate",
                                                     "Accept-Encoding",
                                                     "X-Prometheus-Remote-Write-Version",
                                                     "X-Prometheus-Remote-Read-Version",
                                                     "X-Prometheus-Scrape-Timeout-Seconds",
                                                     "X-Amz-Date",
                                                     "X-Amz-Security-Token",
                                                     "X-Amz-Content-Sha256"};

constexpr std::string_view kOneWay = "Keep one of them.";

template <class T>
void VersionField(config::Object<T>& o, const char* name, TlsVersion T::* member, const char* text,
                  const char* fallback) {
  o.Field(name, member, text)
      .OneOf({{"TLS10", TlsVersion::kTls10},
              {"TLS11", TlsVersion::kTls11},
              {"TLS12", TlsVersion::kTls12},
              {"TLS13", TlsVersion::kTls13}})
      .DefaultText(fallback);
}

template <class T>
bool VersionsCross(const T& c) {
  return c.max_version != TlsVersion::kDefault && c.min_version > c.max_version;
}

void CheckTls(const TlsConfig& c, config::Reporter& r) {
  if (!c.ca.empty() && !c.ca_file.empty())
    r.Error("ca_file", "ca and ca_file are both given", std::string(kOneWay));
  if (!c.cert.empty() && !c.cert_file.empty())
    r.Error("cert_file", "cert and cert_file are both given", std::string(kOneWay));
  if (!c.key.empty() && !c.key_file.empty())
    r.Error("key_file", "key and key_file are both given", std::string(kOneWay));
  const bool cert = !c.cert.empty() || !c.cert_file.empty();
  const bool key = !c.key.empty() || !c.key_file.empty();
  if (cert && !key) r.Error("", "a client certificate is given without its key", "Add key_file.");
  if (key && !cert) r.Error("", "a client key is given without its certificate", "Add cert_file.");
  if (VersionsCross(c))
    r.Error("max_version", "is below min_version", "Raise it or lower min_version.");
}

void CheckBasic(const BasicAuthConfig& c, config::Reporter& r) {
  if (!c.username.empty() && !c.username_file.empty())
    r.Error("username_file", "username and username_file are both given", std::string(kOneWay));
  if (!c.password.empty() && !c.password_file.empty())
    r.Error("password_file", "password and password_file are both given", std::string(kOneWay));
}

void CheckAuthorization(const AuthorizationConfig& c, config::Reporter& r) {
  if (!c.credentials.empty() && !c.credentials_file.empty())
    r.Error("credentials_file", "credentials and credentials_file are both given",
            std::string(kOneWay));
  if (c.type.find(' ') != std::string::npos)
    r.Error("type", "has a space in it", "Write one word, like Bearer.");
  if (EqualsNoCase(c.type, "basic"))
    r.Error("type", "basic is not a type of authorization", "Use basic_auth instead.");
}

void CheckHeaders(const HttpClientConfig& c, config::Reporter& r) {
  for (const auto& [name, header] : c.http_headers) {
    const std::string key = "http_headers." + name;
    const bool reserved =
        std::any_of(kReserved.begin(), kReserved.end(),
                    [&, n = std::string_view(name)](auto h) { return EqualsNoCase(h, n); });
    if (reserved)
      r.Error(key, fmt::format("header {} is set by Picket itself", name),
              "Use the setting made for it.");
    else if (!IsToken(name))
      r.Error(key, fmt::format("\"{}\" is not a header name", name));
    for (const auto& value : header.values)
      if (!IsFieldValue(value))
        r.Error(key, fmt::format("a value of {} has a control character", name));
  }
}

void CheckClient(const HttpClientConfig& c, config::Reporter& r) {
  const bool token = !c.bearer_token.empty(), token_file = !c.bearer_token_file.empty();
  if (token && token_file)
    r.Error("bearer_token_file", "bearer_token and bearer_token_file are both given",
            std::string(kOneWay));
  const int ways =
      (c.basic_auth ? 1 : 0) + (c.authorization ? 1 : 0) + (token || token_file ? 1 : 0);
  if (ways > 1)
    r.Error(c.basic_auth ? "basic_auth" : "authorization",
            "more than one way to authenticate is given: basic_auth, authorization, bearer_token",
            std::string(kOneWay));
  CheckHeaders(c, r);
}

void CheckServerTls(const TlsServerConfig& c, config::Reporter& r) {
  if (c.cert.empty() == c.cert_file.empty())
    r.Error("", "needs exactly one of cert and cert_file", "Add cert_file.");
  if (c.key.empty() == c.key_file.empty())
    r.Error("", "needs exactly one of key and key_file", "Add key_file.");
  const bool ca = !c.client_ca.empty() || !c.client_ca_file.empty();
  const bool verifies = c.client_auth_type == "VerifyClientCertIfGiven" ||
                        c.client_auth_type == "RequireAndVerifyClientCert";
  if (ca && c.client_auth_type == "NoClientCert")
    r.Error("client_ca_file", "is given, but client_auth_type is NoClientCert",
            "Set client_auth_type: RequireAndVerifyClientCert.");
  if (verifies && !ca)
    r.Error("client_auth_type", "verifies certificates without a client CA", "Add client_ca_file.");
  if (VersionsCross(c))
    r.Error("max_version", "is below min_version", "Raise it or lower min_version.");
}

void CheckWeb(const WebConfig& c, config::Reporter& r) {
  if (!c.bearer_token.empty() && !c.bearer_token_file.empty())
    r.Error("bearer_token_file", "bearer_token and bearer_token_file are both given",
            std::string(kOneWay));
  for (const auto& [user, password] : c.basic_auth_users) {
    if (user.find(':') != std::string::npos)
      r.Error("basic_auth_users", "a user name has a colon in it");
    if (password.empty()) r.Error("basic_auth_users", fmt::format("user {} has no password", user));
    if (c.basic_auth_user_files.contains(user))
      r.Error("basic_auth_user_files", fmt::format("user {} is given twice", user),
              std::string(kOneWay));
  }
  for (const auto& [name, value] : c.headers)
    if (!IsToken(name) || !IsFieldValue(value))
      r.Error("headers", fmt::format("\"{}\" cannot be a header", name));
}

}  // namespace

void Declare(config::Object<TlsConfig>& o) {
  o.Doc("How a client encrypts and whom it trusts.");
  o.Field("ca", &TlsConfig::ca, "Certificates of the authorities to trust, as PEM text.")
      .NoExpand();
  o.Field("ca_file", &TlsConfig::ca_file, "The same from a file, read anew when it changes.")
      .Path();
  o.Field("cert", &TlsConfig::cert, "The client's certificate chain, as PEM text.").NoExpand();
  o.Field("cert_file", &TlsConfig::cert_file, "The same from a file.").Path();
  o.Field("key", &TlsConfig::key, "The client's private key, as PEM text.").NoExpand();
  o.Field("key_file", &TlsConfig::key_file, "The same from a file.").Path();
  o.Field("server_name", &TlsConfig::server_name,
          "The name the server's certificate must have, when not the URL's host.");
  o.Field("insecure_skip_verify", &TlsConfig::insecure_skip_verify, "Accepts any certificate.");
  VersionField(o, "min_version", &TlsConfig::min_version, "Oldest protocol to accept.", "TLS12");
  VersionField(o, "max_version", &TlsConfig::max_version, "Newest protocol to offer.",
               "the newest known");
  o.Check(CheckTls);
}

void Declare(config::Object<BasicAuthConfig>& o) {
  o.Doc("A user name and password.");
  o.Field("username", &BasicAuthConfig::username, "The user.");
  o.Field("username_file", &BasicAuthConfig::username_file,
          "A file with the user, read anew when it changes.")
      .Path();
  o.Field("password", &BasicAuthConfig::password, "The password.");
  o.Field("password_file", &BasicAuthConfig::password_file,
          "A file with the password, read anew when it changes.")
      .Path();
  o.Check(CheckBasic);
}

void Declare(config::Object<AuthorizationConfig>& o) {
  o.Doc("The Authorization header.");
  o.Field("type", &AuthorizationConfig::type, "The scheme.");
  o.Field("credentials", &AuthorizationConfig::credentials, "What follows the scheme.");
  o.Field("credentials_file", &AuthorizationConfig::credentials_file,
          "A file with it, read anew when it changes.")
      .Path();
  o.Check(CheckAuthorization);
}

void Declare(config::Object<HttpHeaderConfig>& o) {
  o.Doc("The values of one header.");
  o.Field("values", &HttpHeaderConfig::values, "Values to send.");
  o.Field("secrets", &HttpHeaderConfig::secrets, "Values to send that are never shown.");
  o.Field("files", &HttpHeaderConfig::files, "Files with values to send.").Path();
}

void Declare(config::Object<HttpClientConfig>& o) {
  o.Doc("How an HTTP client authenticates and encrypts.");
  o.Field("basic_auth", &HttpClientConfig::basic_auth, "A user name and password.");
  o.Field("authorization", &HttpClientConfig::authorization, "The Authorization header.");
  o.Field("bearer_token", &HttpClientConfig::bearer_token,
          "A bearer token; authorization.credentials is the newer way.");
  o.Field("bearer_token_file", &HttpClientConfig::bearer_token_file, "A file with a bearer token.")
      .Path();
  o.Field("tls_config", &HttpClientConfig::tls_config, "How to encrypt and whom to trust.");
  o.Field("follow_redirects", &HttpClientConfig::follow_redirects,
          "Follows redirects; credentials stay with the first host.");
  o.Field("enable_http2", &HttpClientConfig::enable_http2, "Accepted; Picket speaks HTTP/1.1.");
  o.Field("http_headers", &HttpClientConfig::http_headers,
          "More headers for every request, by name.");
  o.Field("proxy_from_environment", &HttpClientConfig::proxy_from_environment,
          "Takes the proxy from the environment.")
      .Unsupported("requests through a proxy");
  o.Unsupported("proxy_url", "requests through a proxy");
  o.Unsupported("no_proxy", "requests through a proxy");
  o.Unsupported("proxy_connect_header", "requests through a proxy");
  o.Unsupported("oauth2", "OAuth 2.0");
  o.Check(CheckClient);
}

void Declare(config::Object<TlsServerConfig>& o) {
  o.Doc("How a server encrypts.");
  o.Field("cert", &TlsServerConfig::cert, "The certificate chain, as PEM text.").NoExpand();
  o.Field("cert_file", &TlsServerConfig::cert_file,
          "The same from a file, read anew when it changes.")
      .Path();
  o.Field("key", &TlsServerConfig::key, "The private key, as PEM text.").NoExpand();
  o.Field("key_file", &TlsServerConfig::key_file, "The same from a file.").Path();
  o.Field("client_ca", &TlsServerConfig::client_ca,
          "Authorities that sign clients' certificates, as PEM text.")
      .NoExpand();
  o.Field("client_ca_file", &TlsServerConfig::client_ca_file, "The same from a file.").Path();
  o.Field("client_auth_type", &TlsServerConfig::client_auth_type, "What is asked of clients.")
      .OneOf({"NoClientCert", "RequestClientCert", "RequireAnyClientCert",
              "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"});
  VersionField(o, "min_version", &TlsServerConfig::min_version, "Oldest protocol to accept.",
               "TLS12");
  VersionField(o, "max_version", &TlsServerConfig::max_version, "Newest protocol to accept.",
               "the newest known");
  o.Check(CheckServerTls);
}

void Declare(config::Object<WebConfig>& o) {
  o.Doc("Who may talk to the server, and how.");
  o.Field("tls_server_config", &WebConfig::tls_server_config, "Serves HTTPS instead of HTTP.");
  o.Field("basic_auth_users", &WebConfig::basic_auth_users,
          "Users and their passwords, best as bcrypt hashes.")
      .NoExpand();
  o.Field("basic_auth_user_files", &WebConfig::basic_auth_user_files,
          "Users and files with their passwords.")
      .Path();
  o.Field("bearer_token", &WebConfig::bearer_token, "A token that lets in.");
  o.Field("bearer_token_file", &WebConfig::bearer_token_file, "A file with such a token.").Path();
  o.Field("headers", &WebConfig::headers, "Headers added to every reply.");
  o.Check(CheckWeb);
}

Status HttpClientConfig::Validate() const { return config::Validate(*this); }
Status WebConfig::Validate() const {
  if (tls_server_config) PICKET_TRY(config::Validate(*tls_server_config));
  return config::Validate(*this);
}

}  // namespace picket::net
