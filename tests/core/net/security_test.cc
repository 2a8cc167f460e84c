// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tests/core/net/certs.h"
#include "tests/core/net/harness.h"

namespace picket::net {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class TlsTest : public NetTest {
 protected:
  HttpServerOptions Secure(const CertAndKey& pair) {
    HttpServerOptions options;
    options.web.tls_server_config.emplace();
    options.web.tls_server_config->cert = pair.cert;
    options.web.tls_server_config->key = Secret(pair.key);
    return options;
  }
  std::string https(std::string_view host = "127.0.0.1") const {
    return fmt::format("https://{}:{}/echo", host, server->port());
  }
  HttpClientConfig Trusting(const Authority& authority) {
    HttpClientConfig config;
    config.tls_config.ca = authority.Pem();
    return config;
  }

  Authority ca{"test authority"};
  Authority other{"another authority"};
  TempDir dir;
};

TEST_F(TlsTest, TalksToWhomItTrusts) {
  Serve(Secure(ca.Issue("shop", "DNS:localhost,IP:127.0.0.1")));
  HttpClient client(runtime, Trusting(ca));
  EXPECT_TRUE(client.Check());
  for (const std::string& url : {https(), https("localhost")}) {
    const auto response = client.FetchBlocking(Get(url));
    ASSERT_TRUE(response) << Said(response);
    EXPECT_EQ(response->body, "GET /echo\n");
  }
  // Large in both directions, and over the kept connection.
  std::string body(3 << 20, 'b');
  HttpRequest post = Get(https());
  post.method = "POST";
  post.body = {body, body};
  post.timeout = 60s;
  const auto response = client.FetchBlocking(post);
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->body.size(), body.size() * 2 + 11);
}

TEST_F(TlsTest, DoesNotTalkToOthers) {
  Serve(Secure(ca.Issue("shop", "DNS:shop")));
  auto response = Fetch(Get(https()), Trusting(other));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind(), ErrorKind::kIo);
  EXPECT_THAT(Said(response),
              HasSubstr(fmt::format("TLS with 127.0.0.1:{}: certificate verify failed: unable to "
                                    "get local issuer certificate",
                                    server->port())));
  response = Fetch(Get(https()), Trusting(ca));
  ASSERT_FALSE(response) << "the certificate is for another name";
  HttpClientConfig named = Trusting(ca);
  named.tls_config.server_name = "shop";
  EXPECT_TRUE(Fetch(Get(https()), named));
  HttpClientConfig careless;
  careless.tls_config.insecure_skip_verify = true;
  EXPECT_TRUE(Fetch(Get(https()), careless));
  // Plain HTTP to a TLS port and TLS to a plain port are errors, not hangs.
  EXPECT_FALSE(Fetch(Get(url("/echo"))));
  Serve();
  EXPECT_FALSE(Fetch(Get(https()), Trusting(ca)));
}

TEST_F(TlsTest, VersionsAreBounded) {
  HttpServerOptions options = Secure(ca.Issue("shop", "IP:127.0.0.1"));
  options.web.tls_server_config->min_version = TlsVersion::kTls13;
  Serve(options);
  HttpClientConfig old = Trusting(ca);
  old.tls_config.max_version = TlsVersion::kTls12;
  EXPECT_FALSE(Fetch(Get(https()), old));
  EXPECT_TRUE(Fetch(Get(https()), Trusting(ca)));
}

TEST_F(TlsTest, ClientsShowTheirCertificates) {
  HttpServerOptions options = Secure(ca.Issue("shop", "IP:127.0.0.1"));
  options.web.tls_server_config->client_ca = other.Pem();
  options.web.tls_server_config->client_auth_type = "RequireAndVerifyClientCert";
  Serve(options);
  EXPECT_FALSE(Fetch(Get(https()), Trusting(ca)));
  const auto with = [&](const CertAndKey& pair) {
    HttpClientConfig config = Trusting(ca);
    config.tls_config.cert = pair.cert;
    config.tls_config.key = Secret(pair.key);
    return Fetch(Get(https()), config);
  };
  EXPECT_FALSE(with(ca.Issue("stranger", "")));
  EXPECT_TRUE(with(other.Issue("friend", "")));
}

TEST_F(TlsTest, RotatedFilesAreNoticedOnBothSides) {
  const CertAndKey first = ca.Issue("one", "IP:127.0.0.1"),
                   second = other.Issue("two", "IP:127.0.0.1");
  HttpServerOptions options;
  options.web.tls_server_config.emplace();
  options.web.tls_server_config->cert_file = dir.Write("cert", first.cert);
  options.web.tls_server_config->key_file = dir.Write("key", first.key);
  Serve(options);
  HttpClientConfig config;
  config.tls_config.ca_file = dir.Write("ca", ca.Pem());
  HttpClient client(runtime, config);
  ASSERT_TRUE(client.FetchBlocking(Get(https())));
  dir.Write("cert", second.cert);
  dir.Write("key", second.key);
  HttpClient fresh(runtime, config);
  EXPECT_FALSE(fresh.FetchBlocking(Get(https())));
  dir.Write("ca", other.Pem());
  const auto response =
      client.FetchBlocking(Get(https()));  // not over the connection of the old authority
  ASSERT_TRUE(response) << Said(response);
  EXPECT_FALSE(response->reused);
  // Files that are broken for a moment leave the good ones in use.
  dir.Write("cert", "half a file");
  EXPECT_TRUE(fresh.FetchBlocking(Get(https())));
}

TEST_F(TlsTest, BadFilesAreNamed) {
  HttpClientConfig config;
  config.tls_config.ca_file = dir / "missing";
  HttpClient client(runtime, config);
  EXPECT_THAT(client.Check().error().ToString(),
              HasSubstr("open " + (dir / "missing") + ": No such file"));
  config.tls_config.ca_file = dir.Write("ca", "not a certificate");
  EXPECT_THAT(HttpClient(runtime, config).Check().error().ToString(),
              HasSubstr("CA certificate " + (dir / "ca")));
  HttpServerOptions options = Secure(ca.Issue("a", ""));
  options.web.tls_server_config->key = Secret(other.Issue("b", "").key);
  HttpServer mismatched(runtime, options);
  const Status status = mismatched.Start();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().ToString(), HasSubstr("private key key"));
}

class AuthTest : public NetTest {
 protected:
  int StatusOf(const std::string& path, HttpClientConfig config = {}) {
    const auto response = Fetch(Get(url(path)), std::move(config));
    EXPECT_TRUE(response) << Said(response);
    return response ? response->status : 0;
  }
  static HttpClientConfig As(const std::string& user, const std::string& password) {
    HttpClientConfig config;
    config.basic_auth = BasicAuthConfig{user, "", Secret(password), ""};
    return config;
  }
  static HttpClientConfig Bearer(const std::string& token) {
    HttpClientConfig config;
    config.bearer_token = Secret(token);
    return config;
  }
  static void AddHealth(HttpServer& s) {
    HttpRoute health;
    health.path = "/-/healthy";
    health.open = true;
    health.handler = EchoHandler;
    s.Route(std::move(health));
  }
  TempDir dir;
};

TEST_F(AuthTest, UsersWithHashesPlainPasswordsAndFiles) {
  HttpServerOptions options;
  options.web.basic_auth_users["alice"] =
      Secret("$2y$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG");
  options.web.basic_auth_users["bob"] = Secret("plain");
  options.web.basic_auth_user_files["carol"] = dir.Write("carol", "from file\n");
  Serve(options, AddHealth);
  EXPECT_EQ(StatusOf("/echo", As("alice", "s3cret")), 200);
  EXPECT_EQ(StatusOf("/echo", As("alice", "s3cret")), 200);  // remembered
  EXPECT_EQ(StatusOf("/echo", As("alice", "wrong")), 401);
  EXPECT_EQ(StatusOf("/echo", As("bob", "plain")), 200);
  EXPECT_EQ(StatusOf("/echo", As("bob", "s3cret")), 401);
  EXPECT_EQ(StatusOf("/echo", As("carol", "from file")), 200);
  EXPECT_EQ(StatusOf("/echo", As("mallory", "")), 401);
  EXPECT_EQ(StatusOf("/echo", As("", "")), 401);
  EXPECT_EQ(StatusOf("/echo", Bearer("plain")), 401);
  EXPECT_EQ(StatusOf("/echo"), 401);
  EXPECT_EQ(StatusOf("/nope"), 401);  // what exists is nobody else's business
  EXPECT_EQ(StatusOf("/-/healthy"), 200);
  EXPECT_EQ(Fetch(Get(url("/echo")))->headers.Get("www-authenticate"),
            "Basic realm=\"picket\", charset=\"UTF-8\"");
  EXPECT_THAT(Fetch(Get(url("/echo")), As("bob", "plain"))->body, HasSubstr("user=bob"));
  dir.Write("carol", "changed");
  EXPECT_EQ(StatusOf("/echo", As("carol", "from file")), 401);
  EXPECT_EQ(StatusOf("/echo", As("carol", "changed")), 200);
  std::filesystem::remove(dir / "carol");
  EXPECT_EQ(StatusOf("/echo", As("carol", "")), 401);
}

TEST_F(AuthTest, Tokens) {
  HttpServerOptions options;
  options.web.bearer_token_file = dir.Write("token", "t0ken\n");
  options.web.headers["X-Frame-Options"] = "deny";
  Serve(options);
  EXPECT_EQ(StatusOf("/echo", Bearer("t0ken")), 200);
  EXPECT_EQ(StatusOf("/echo", Bearer("t0ke")), 401);
  EXPECT_EQ(StatusOf("/echo", As("bearer", "t0ken")), 401);
  const auto refused = Fetch(Get(url("/echo")));
  EXPECT_EQ(refused->headers.Get("www-authenticate"), "Bearer realm=\"picket\"");
  EXPECT_EQ(refused->headers.Get("x-frame-options"), "deny");
  dir.Write("token", "");
  EXPECT_EQ(StatusOf("/echo", Bearer("")), 401);
}

TEST_F(AuthTest, StrangersAreRefusedBeforeTheirBodyIsRead) {
  HttpServerOptions options;
  options.web.bearer_token = Secret("t");
  Serve(options);
  RawSocket socket = RawSocket::Connect(server->port());
  socket.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("required.\n"), StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
}

TEST_F(AuthTest, NewSettingsApplyToTheNextRequest) {
  Serve();
  EXPECT_EQ(StatusOf("/echo"), 200);
  WebConfig web;
  web.bearer_token = Secret("now");
  ASSERT_TRUE(server->SetWeb(web));
  EXPECT_EQ(StatusOf("/echo"), 401);
  EXPECT_EQ(StatusOf("/echo", Bearer("now")), 200);
  web.bearer_token_file = "both";
  EXPECT_FALSE(server->SetWeb(web));
  EXPECT_EQ(StatusOf("/echo", Bearer("now")), 200);
}

}  // namespace
}  // namespace picket::net
