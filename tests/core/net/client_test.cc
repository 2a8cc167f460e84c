// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "core/net/gzip.h"
#include "tests/core/net/harness.h"

namespace picket::net {
namespace {

using testing::HasSubstr;

class ClientTest : public NetTest {};

asio::awaitable<Result<HttpResponse>> Twice(HttpClient& client, HttpRequest request) {
  HttpRequest again = request;
  auto first = co_await client.Fetch(std::move(request));
  if (!first || first->status != 200) co_return first;
  co_return co_await client.Fetch(std::move(again));
}

Result<HttpResponse> FetchTwice(Runtime& runtime, HttpClient& client, HttpRequest request) {
  return asio::co_spawn(runtime.At(0), Twice(client, std::move(request)), asio::use_future).get();
}

TEST_F(ClientTest, GetsAndReusesTheConnection) {
  Serve();
  HttpClient client(runtime, {});
  const auto response = FetchTwice(runtime, client, Get(url("/echo?a=b")));
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "GET /echo?a=b\n");
  EXPECT_TRUE(response->reused);
  EXPECT_EQ(response->headers.Get("echo-host"), "127.0.0.1:" + std::to_string(server->port()));
  EXPECT_EQ(response->headers.Get("echo-user-agent"), "picket");
}

TEST_F(ClientTest, TheBodyLiesInTheCallersMemoryAndStaysThere) {
  const std::string big(92'000, 'x');
  Serve({}, [&](HttpServer& s) {
    s.Get("/big", [big](HttpServerRequest) -> asio::awaitable<HttpReply> {
      co_return HttpReply::Text(200, big + "\n");
    });
  });
  BodyBuffer kept;
  HttpClient client(runtime, {});
  HttpRequest request = Get(url("/big"));
  request.into = &kept;
  request.accept_gzip = false;
  auto response = client.FetchBlocking(request);
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->body.data(), kept.data());
  EXPECT_EQ(kept.capacity(), big.size() + 1);  // the announced size, not a guess
  const char* at = kept.data();
  response = client.FetchBlocking(request);
  EXPECT_EQ(kept.data(), at);
  EXPECT_EQ(kept.view(), big + "\n");
}

TEST_F(ClientTest, SendsABodyInPieces) {
  Serve();
  HttpRequest request = Get(url("/echo"));
  request.method = "POST";
  std::string piece(100'000, 'p');
  request.body = {"one ", "", "two ", piece};
  for (int i = 0; i < 100; ++i) request.body.push_back("tail ");
  const auto response = Fetch(request);
  ASSERT_TRUE(response) << Said(response);
  std::string whole = "POST /echo\n";
  for (auto p : request.body) whole += p;
  EXPECT_EQ(response->body, whole);
}

TEST_F(ClientTest, ReadsChunkedGzippedAndEndless) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += fmt::format("line {}\n", i);
  std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (size_t at = 0; at < text.size(); at += 1000)
    chunked += fmt::format("{:x}\r\n{}\r\n", text.substr(at, 1000).size(), text.substr(at, 1000));
  chunked += "0\r\n\r\n";
  const std::string packed = GzipEncode(text);
  RawServer raw({RawServer::Says(chunked),
                 RawServer::Says(fmt::format(
                     "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{}",
                     packed.size(), packed)),
                 RawServer::Says("HTTP/1.1 200 OK\r\n\r\n" + text),
                 RawServer::Says(
                     fmt::format("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: "
                                 "chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                                 packed.size(), packed))});
  BodyBuffer kept;
  for (int i = 0; i < 4; ++i) {
    HttpRequest request = Get(raw.url());
    request.into = &kept;
    const auto response = Fetch(request);
    ASSERT_TRUE(response) << i << Said(response);
    EXPECT_EQ(response->body, text) << i;
    EXPECT_EQ(response->body.data(), kept.data()) << i;
    if (i == 1 || i == 3) {
      EXPECT_EQ(response->wire_body_bytes, packed.size());
    }
  }
}

TEST_F(ClientTest, AnswersWithoutBodyKeepTheConnection) {
  Serve({}, [](HttpServer& s) {
    s.Get("/204", [](HttpServerRequest) -> asio::awaitable<HttpReply> {
      HttpReply reply;
      reply.status = 204;
      co_return reply;
    });
    s.Get("/304", [](HttpServerRequest) -> asio::awaitable<HttpReply> {
      HttpReply reply;
      reply.status = 304;
      reply.body = "must not be sent";
      co_return reply;
    });
  });
  HttpClient client(runtime, {});
  HttpRequest head = Get(url("/echo"));
  head.method = "HEAD";
  auto response = FetchTwice(runtime, client, head);
  ASSERT_TRUE(response) << Said(response);
  EXPECT_TRUE(response->reused);
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(response->headers.Get("content-length"), "11");
  for (const char* path : {"/204", "/304", "/echo"}) {
    auto one = asio::co_spawn(runtime.At(0), client.Fetch(Get(url(path))), asio::use_future).get();
    ASSERT_TRUE(one) << Said(one);
    EXPECT_TRUE(one->reused) << path;
  }
}

TEST_F(ClientTest, AKeptConnectionThatDiedIsReplacedOnce) {
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  std::promise<void> closed;
  RawServer raw({[&](RawSocket& s) {
                   s.ReadUntil("\r\n\r\n");
                   s.Send(ok);
                   // Takes the second request and goes away without a word.
                   s.ReadUntil("\r\n\r\n");
                   s.Reset();
                   closed.set_value();
                 },
                 RawServer::Says(ok)});
  HttpClient client(runtime, {});
  const auto response = FetchTwice(runtime, client, Get(raw.url()));
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->body, "ok");
  EXPECT_FALSE(response->reused);
  closed.get_future().wait();
}

TEST_F(ClientTest, AFreshConnectionThatDiesIsAnError) {
  RawServer raw({[](RawSocket& s) { s.ReadUntil("\r\n\r\n"); }});
  const auto response = Fetch(Get(raw.url("/x")));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind(), ErrorKind::kIo);
  EXPECT_EQ(response.error().ToString(),
            "GET " + raw.url("/x") + ": connection closed while waiting for the answer");
}

TEST_F(ClientTest, ACutBodyIsAnErrorNotAShortBody) {
  RawServer raw({RawServer::Says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
                 RawServer::Says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
                 RawServer::Says(
                     "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
                 RawServer::Says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
                 RawServer::Says("220 smtp ready\r\n\r\n")});
  for (ErrorKind kind : {ErrorKind::kIo, ErrorKind::kIo, ErrorKind::kCorrupt, ErrorKind::kCorrupt,
                         ErrorKind::kCorrupt}) {
    const auto response = Fetch(Get(raw.url()));
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().kind(), kind) << Said(response);
  }
}

TEST_F(ClientTest, InterimAnswersAreReadOver) {
  RawServer raw(
      {RawServer::Says("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 "
                       "Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")});
  const auto response = Fetch(Get(raw.url()));
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->status, 201);
}

TEST_F(ClientTest, RefusedConnectionsSaySo) {
  uint16_t port = 0;
  {
    RawServer gone({});
    port = gone.port();
  }
  const auto response = Fetch(Get(fmt::format("http://127.0.0.1:{}/m", port)));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind(), ErrorKind::kIo);
  EXPECT_EQ(response.error().message(),
            fmt::format("connect 127.0.0.1:{}: Connection refused", port));
  const auto nowhere = Fetch(Get("http://no-such-host.invalid/"));
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(Said(nowhere), HasSubstr("resolve no-such-host.invalid: "));
}

TEST_F(ClientTest, NamesResolve) {
  Serve();
  const auto response = Fetch(Get(fmt::format("http://localhost:{}/echo", server->port())));
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->status, 200);
}

TEST_F(ClientTest, UnixSockets) {
  TempDir dir;
  HttpServerOptions options;
  options.listen = "unix:" + (dir / "s.sock");
  Serve(options);
  const auto response = Fetch(Get("unix://" + (dir / "s.sock") + ":/echo?x"));
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->body, "GET /echo?x\n");
  server->Stop(1s);
  EXPECT_FALSE(std::filesystem::exists(dir / "s.sock"));
}

TEST_F(ClientTest, SendsItsCredentials) {
  Serve();
  TempDir dir;
  HttpClientConfig config;
  config.basic_auth = BasicAuthConfig{"me", "", {}, dir.Write("password", "s3cret\n")};
  config.http_headers["X-Tenant"].values = {"a"};
  HttpClient client(runtime, config);
  auto response = client.FetchBlocking(Get(url("/echo")));
  EXPECT_EQ(response->headers.Get("echo-authorization"), "Basic bWU6czNjcmV0");
  EXPECT_EQ(response->headers.Get("echo-x-tenant"), "a");
  dir.Write("password", "other");
  response = client.FetchBlocking(Get(url("/echo")));
  EXPECT_EQ(response->headers.Get("echo-authorization"), "Basic bWU6b3RoZXI=");
  std::filesystem::remove(dir / "password");
  response = client.FetchBlocking(Get(url("/echo")));
  ASSERT_FALSE(response);
  EXPECT_THAT(Said(response), HasSubstr(dir / "password"));

  HttpClientConfig bearer;
  bearer.authorization = AuthorizationConfig{"Token", Secret("abc"), ""};
  EXPECT_EQ(Fetch(Get(url("/echo")), bearer)->headers.Get("echo-authorization"), "Token abc");
  HttpRequest own = Get("http://u:p%40@127.0.0.1:" + std::to_string(server->port()) + "/echo");
  EXPECT_EQ(Fetch(own)->headers.Get("echo-authorization"), "Basic dTpwQA==");
}

TEST_F(ClientTest, HeadersCannotSmuggleLines) {
  Serve();
  HttpRequest request = Get(url("/echo"));
  request.headers.Add("X", "a\r\nEvil: 1");
  EXPECT_EQ(Fetch(request).error().kind(), ErrorKind::kInvalidArgument);
  request = Get(url("/echo"));
  request.headers.Add("Content-Length", "5");  // framing is the client's
  const auto response = Fetch(request);
  EXPECT_FALSE(response->headers.Has("echo-content-length"));
}

TEST_F(ClientTest, RedirectsKeepCredentialsAtHome) {
  HttpServer elsewhere(runtime, {});
  elsewhere.Get("/landed", EchoHandler);
  ASSERT_TRUE(elsewhere.Start());
  const std::string away = "http://" + elsewhere.address() + "/landed";
  Serve({}, [away](HttpServer& s) {
    for (auto [path, to, status] :
         {std::tuple("/home", std::string("/echo/x"), 302), std::tuple("/away", away, 307),
          std::tuple("/loop", std::string("/loop"), 301)}) {
      HttpRoute route;
      route.method = "*";
      route.path = path;
      route.handler = [to, status](HttpServerRequest) -> asio::awaitable<HttpReply> {
        HttpReply reply = HttpReply::Text(status, "moved");
        reply.headers.Add("Location", to);
        co_return reply;
      };
      s.Route(std::move(route));
    }
  });
  HttpClientConfig config;
  config.bearer_token = Secret("hush");
  config.http_headers["X-Key"].secrets = {Secret("k")};
  auto response = Fetch(Get(url("/home")), config);
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->body, "GET /echo/x\n");
  EXPECT_EQ(response->url, url("/echo/x"));
  EXPECT_EQ(response->headers.Get("echo-authorization"), "Bearer hush");
  HttpRequest request = Get(url("/away"));
  request.headers.Add("Cookie", "c=1");
  response = Fetch(request, config);
  ASSERT_TRUE(response) << Said(response);
  EXPECT_EQ(response->url, away);
  EXPECT_FALSE(response->headers.Has("echo-authorization"));
  EXPECT_FALSE(response->headers.Has("echo-x-key"));
  EXPECT_FALSE(response->headers.Has("echo-cookie"));
  EXPECT_THAT(Said(Fetch(Get(url("/loop")), config)), HasSubstr("more than 10 redirects"));
  HttpRequest post = Get(url("/home"));
  post.method = "POST";
  post.body = {"x"};
  EXPECT_EQ(Fetch(post, config)->body, "GET /echo/x\n");
  config.follow_redirects = false;
  EXPECT_EQ(Fetch(Get(url("/home")), config)->status, 302);
}

TEST_F(ClientTest, AnEarlyRefusalIsReadWhileTheBodyIsStillBeingSent) {
  RawServer raw({[](RawSocket& s) {
    s.ReadUntil("\r\n\r\n");
    s.Send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    s.Reset();
  }});
  const std::string body(32 << 20, 'b');
  HttpRequest request = Get(raw.url());
  request.method = "POST";
  request.body = {body};
  const auto response = Fetch(request);
  // The reset may overtake the answer; what must not be is a success or a hang.
  if (response)
    EXPECT_EQ(response->status, 413);
  else
    EXPECT_EQ(response.error().kind(), ErrorKind::kIo);
}

TEST_F(ClientTest, RunsOnlyOnTheRuntime) {
  Serve();
  HttpClient client(runtime, {});
  asio::io_context other;
  auto result = asio::co_spawn(other, client.Fetch(Get(url("/echo"))), asio::use_future);
  other.run();
  EXPECT_EQ(result.get().error().kind(), ErrorKind::kInternal);
}

asio::awaitable<void> FetchInto(HttpClient& client, HttpRequest request,
                                std::optional<ErrorKind>& kind) {
  auto response = co_await client.Fetch(std::move(request));
  if (!response) kind = response.error().kind();
}

TEST_F(ClientTest, CancelEndsAFetch) {
  std::promise<void> asked, release;
  RawServer raw({[&](RawSocket& s) {
    s.ReadUntil("\r\n\r\n");
    asked.set_value();
    release.get_future().wait();
  }});
  HttpClient client(runtime, {});
  Tasks tasks(runtime);
  std::optional<ErrorKind> kind;
  HttpRequest request = Get(raw.url());
  request.timeout = 1h;
  tasks.Start(runtime.Next(), "fetch", FetchInto(client, request, kind));
  asked.get_future().wait();
  tasks.Stop();
  EXPECT_EQ(kind, ErrorKind::kCancelled);
  release.set_value();
}

}  // namespace
}  // namespace picket::net
