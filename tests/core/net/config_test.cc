// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/config/object.h"
#include "core/net/http_config.h"

namespace picket::net {
namespace {

using testing::HasSubstr;

std::string Fault(const std::string& yaml) {
  const auto loaded = config::FromYaml<HttpClientConfig>(yaml, "c.yml");
  return loaded ? "" : loaded.error().ToString();
}

TEST(HttpConfigTest, ReadsPrometheusKeys) {
  const auto loaded = config::FromYaml<HttpClientConfig>(R"(
authorization: {type: Token, credentials: abc}
tls_config: {ca_file: ca.pem, server_name: shop, min_version: TLS13, insecure_skip_verify: true}
follow_redirects: false
enable_http2: false
http_headers: {X-A: {values: [one, two], secrets: [three]}}
)");
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(loaded->authorization->credentials.Reveal(), "abc");
  EXPECT_EQ(loaded->tls_config.min_version, TlsVersion::kTls13);
  EXPECT_TRUE(loaded->tls_config.insecure_skip_verify);
  EXPECT_FALSE(loaded->follow_redirects);
  EXPECT_EQ(loaded->http_headers.at("X-A").values.size(), 2u);
  EXPECT_EQ(config::ToYaml(*loaded).find("abc"), std::string::npos);
}

TEST(HttpConfigTest, FaultsAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"bearer_token: a\nbearer_token_file: b",
       "bearer_token and bearer_token_file are both given"},
      {"bearer_token: a\nbasic_auth: {username: u}", "more than one way to authenticate"},
      {"authorization: {credentials: a}\nbasic_auth: {username: u}",
       "more than one way to authenticate"},
      {"basic_auth: {password: a, password_file: b}", "password and password_file are both given"},
      {"basic_auth: {username: a, username_file: b}", "username and username_file are both given"},
      {"authorization: {credentials: a, credentials_file: b}",
       "credentials and credentials_file are both given"},
      {"authorization: {type: Basic, credentials: a}", "basic is not a type"},
      {"tls_config: {cert_file: a}", "without its key"},
      {"tls_config: {key_file: a}", "without its certificate"},
      {"tls_config: {ca: a, ca_file: b}", "ca and ca_file are both given"},
      {"tls_config: {min_version: TLS13, max_version: TLS12}", "below min_version"},
      {"tls_config: {min_version: TLS9}", "TLS9"},
      {"http_headers: {authorization: {values: [a]}}", "set by Picket itself"},
      {"http_headers: {'X Y': {values: [a]}}", "is not a header name"},
      {"proxy_url: http://p", "proxy"},
      {"proxy_from_environment: true", "proxy"},
      {"oauth2: {client_id: x}", "OAuth 2.0"},
      {"basic_aut: {}", "basic_auth"},
  };
  for (const auto& [yaml, says] : cases) EXPECT_THAT(Fault(yaml), HasSubstr(says)) << yaml;
  EXPECT_EQ(Fault("proxy_from_environment: false"), "");
}

TEST(WebConfigTest, TheToolkitsExampleLoads) {
  const auto loaded = config::FromYaml<WebConfig>(R"(
tls_server_config:
  cert_file: server.crt
  key_file: server.key
basic_auth_users:
  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze
)");
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(loaded->basic_auth_users.at("alice").Reveal(),
            "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze");
  EXPECT_TRUE(loaded->Authenticates());
  EXPECT_TRUE(loaded->Validate());
  for (const char* bad :
       {"tls_server_config: {cert_file: a}",
        "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}",
        "tls_server_config: {cert_file: a, key_file: b, client_auth_type: "
        "RequireAndVerifyClientCert}",
        "tls_server_config: {cert_file: a, key_file: b, client_auth_type: Sometimes}",
        "basic_auth_users: {a: x}\nbasic_auth_user_files: {a: f}", "basic_auth_users: {a: ''}"})
    EXPECT_FALSE(config::FromYaml<WebConfig>(bad)) << bad;
}

}  // namespace
}  // namespace picket::net
