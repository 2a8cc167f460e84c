// SPDX-License-Identifier: Apache-2.0
// Deadlines in every phase and limits at their edge. Nothing here measures time: a short deadline
// must end what would never end.
#include <fmt/format.h>

#include "core/net/gzip.h"
#include "tests/core/net/harness.h"

namespace picket::net {
namespace {

using testing::HasSubstr;

class LimitsTest : public NetTest {};

HttpRequest Impatient(std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  request.timeout = 100ms;
  return request;
}

// Serves until the test lets go, after doing its part.
struct Stalling {
  explicit Stalling(std::function<void(RawSocket&)> part)
      : server({[this, part = std::move(part)](RawSocket& s) {
          part(s);
          release.get_future().wait();
        }}) {}
  ~Stalling() { release.set_value(); }
  std::promise<void> release;
  RawServer server;
};

TEST_F(LimitsTest, TheClientGivesUpInEveryPhase) {
  struct Case {
    const char* phase;
    std::function<void(RawSocket&)> part;
    size_t body;
  };
  const std::vector<Case> cases{
      {"waiting for the answer", [](RawSocket& s) { s.ReadUntil("\r\n\r\n"); }, 0},
      {"waiting for the answer",
       [](RawSocket& s) { s.ReadUntil("\r\n\r\n"), s.Send("HTTP/1.1 200 OK\r\nX: "); }, 0},
      {"reading the body",
       [](RawSocket& s) { s.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"); }, 0},
      {"reading the body",
       [](RawSocket& s) {
         s.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf");
       },
       0},
      {"reading the body", [](RawSocket& s) { s.Send("HTTP/1.1 200 OK\r\n\r\nhalf"); }, 0},
      {"sending the request", [](RawSocket& s) { s.ReadUntil("\r\n\r\n"); }, 64 << 20},
  };
  for (const Case& c : cases) {
    Stalling stalling(c.part);
    HttpRequest request = Impatient(stalling.server.url("/p"));
    const std::string body(c.body, 'b');
    if (c.body > 0) request.method = "POST", request.body = {body};
    const auto response = Fetch(request);
    ASSERT_FALSE(response) << c.phase;
    EXPECT_EQ(response.error().kind(), ErrorKind::kTimeout) << Said(response);
    EXPECT_THAT(Said(response),
                HasSubstr("/p: timeout of 100ms exceeded: no progress in time while "))
        << c.phase;
    EXPECT_THAT(Said(response), HasSubstr(c.phase));
  }
}

TEST_F(LimitsTest, TheClientGivesUpConnecting) {
  // A listener whose queue is full answers no further handshakes.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  socklen_t size = sizeof at;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
  std::vector<RawSocket> queued;
  queued.push_back(RawSocket::Connect(ntohs(at.sin_port)));
  HttpRequest request = Impatient(fmt::format("http://127.0.0.1:{}/", ntohs(at.sin_port)));
  request.timeout = 1h;
  request.connect_timeout = 100ms;
  const auto response = Fetch(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind(), ErrorKind::kTimeout) << Said(response);
  EXPECT_THAT(Said(response), HasSubstr(fmt::format("connect 127.0.0.1:{}: no answer in time",
                                                    ntohs(at.sin_port))));
  ::close(listener);
}

TEST_F(LimitsTest, TheClientsTlsHandshakeHasADeadline) {
  Stalling stalling([](RawSocket&) {});
  const auto response =
      Fetch(Impatient(fmt::format("https://127.0.0.1:{}/", stalling.server.port())));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind(), ErrorKind::kTimeout) << Said(response);
  EXPECT_THAT(Said(response), HasSubstr("in the TLS handshake"));
}

TEST_F(LimitsTest, TheClientsBodyLimitHoldsToTheByte) {
  const std::string text(1000, 'x');
  const std::string packed = GzipEncode(text);
  const std::vector<std::string> answers{
      "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + text,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" + text.substr(500) +
          "\r\n1f4\r\n" + text.substr(500) + "\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\n" + text,
      fmt::format("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{}",
                  packed.size(), packed)};
  for (const std::string& answer : answers) {
    RawServer raw({RawServer::Says(answer), RawServer::Says(answer)});
    HttpRequest request = Get(raw.url());
    request.body_limit = 1000;
    auto response = Fetch(request);
    ASSERT_TRUE(response) << Said(response);
    EXPECT_EQ(response->body.size(), 1000u);
    request.body_limit = 999;
    response = Fetch(request);
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().kind(), ErrorKind::kLimit) << Said(response);
    EXPECT_THAT(Said(response), HasSubstr("limit of 999 bytes"));
  }
}

TEST_F(LimitsTest, TheClientsHeaderLimitHoldsToTheByte) {
  std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
  head += std::string(1000 - head.size() - 4, 'h') + "\r\n\r\n";
  RawServer raw({RawServer::Says(head), RawServer::Says(head),
                 RawServer::Says("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'h'))});
  HttpRequest request = Get(raw.url());
  request.header_limit = 1000;
  EXPECT_EQ(Fetch(request)->status, 200);
  request.header_limit = 999;
  auto response = Fetch(request);
  ASSERT_FALSE(response);
  EXPECT_THAT(Said(response), HasSubstr("header of the answer is over the limit of 999 bytes"));
  response = Fetch(Get(raw.url()));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind(), ErrorKind::kLimit);
}

HttpServerOptions ShortOf(Milliseconds HttpServerOptions::* which) {
  HttpServerOptions options;
  options.*which = 50ms;
  return options;
}

TEST_F(LimitsTest, TheServerEndsSlowAndSilentPeers) {
  struct Case {
    const char* what;
    Milliseconds HttpServerOptions::* deadline;
    std::string sent;
  };
  const std::vector<Case> cases{
      {"silent", &HttpServerOptions::idle_timeout, ""},
      {"half a head", &HttpServerOptions::header_timeout,
       "GET /echo HTTP/1.1\r\nHost: a\r\nX-Slow: "},
      {"half a body", &HttpServerOptions::body_timeout,
       "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"},
      {"half a chunk", &HttpServerOptions::body_timeout,
       "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf"},
  };
  for (const Case& c : cases) {
    Serve(ShortOf(c.deadline));
    RawSocket socket = RawSocket::Connect(server->port());
    ASSERT_TRUE(socket.Send(c.sent));
    EXPECT_EQ(socket.ReadAll(), "") << c.what;  // returns because the server closed
  }
}

TEST_F(LimitsTest, DroppingBytesOneByOneDoesNotExtendAHeadsTime) {
  Serve(ShortOf(&HttpServerOptions::header_timeout));
  RawSocket socket = RawSocket::Connect(server->port());
  std::string sent = "GET /echo HTTP/1.1\r\nHost: a\r\nX-Slow: ";
  socket.Send(sent);
  bool open = true;
  // At most ten seconds of dripping; the deadline of 50 ms from the first byte ends it long before.
  for (int i = 0; i < 1000 && open; ++i) {
    pollfd p{socket.fd(), POLLIN, 0};
    open = ::poll(&p, 1, 10) == 0 && socket.Send("s");
  }
  EXPECT_FALSE(open);
}

TEST_F(LimitsTest, TheServerEndsASlowReader) {
  const auto big = std::make_shared<const std::string>(std::string(64 << 20, 'x'));
  Serve(ShortOf(&HttpServerOptions::write_timeout), [big](HttpServer& s) {
    s.Get("/big", [big](HttpServerRequest) -> asio::awaitable<HttpReply> {
      HttpReply reply;
      reply.shared_body = big;
      co_return reply;
    });
  });
  RawSocket socket = RawSocket::Connect(server->port(), 4096);
  socket.Send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
  pollfd p{socket.fd(), POLLRDHUP, 0};
  EXPECT_EQ(::poll(&p, 1, 10'000), 1);  // closed although nothing was read
  EXPECT_LT(socket.ReadAll().size(), big->size());
}

TEST_F(LimitsTest, TheServersHeaderLimitHoldsToTheByte) {
  HttpServerOptions options;
  options.header_limit = 500;
  Serve(options);
  std::string head = "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ";
  head += std::string(500 - head.size() - 4, 'h') + "\r\n\r\n";
  RawSocket at_limit = RawSocket::Connect(server->port());
  at_limit.Send(head);
  EXPECT_THAT(at_limit.ReadAll(), testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  RawSocket over = RawSocket::Connect(server->port());
  over.Send(head.insert(head.size() - 4, "h"));
  const std::string answer = over.ReadAll();
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer, HasSubstr("The header is over the limit of 500 bytes."));
}

TEST_F(LimitsTest, TheServersBodyLimitHoldsToTheByte) {
  HttpServerOptions options;
  options.body_limit = 1000;
  Serve(options, [](HttpServer& s) {
    HttpRoute small;
    small.method = "POST";
    small.path = "/small";
    small.body_limit = 10;
    small.handler = EchoHandler;
    s.Route(std::move(small));
  });
  const auto post = [&](std::string path, const std::string& body, bool chunked, bool gzip) {
    const std::string sent = gzip ? GzipEncode(body) : body;
    std::string raw = "POST " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    if (gzip) raw += "Content-Encoding: gzip\r\n";
    raw += chunked ? fmt::format("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                                 sent.size(), sent)
                   : fmt::format("Content-Length: {}\r\n\r\n{}", sent.size(), sent);
    RawSocket socket = RawSocket::Connect(server->port());
    socket.Send(raw);
    return socket.ReadAll().substr(0, 12);
  };
  for (bool chunked : {false, true}) {
    for (bool gzip : {false, true}) {
      EXPECT_EQ(post("/echo", std::string(1000, 'x'), chunked, gzip), "HTTP/1.1 200")
          << chunked << gzip;
      EXPECT_EQ(post("/echo", std::string(1001, 'x'), chunked, gzip), "HTTP/1.1 413")
          << chunked << gzip;
    }
  }
  EXPECT_EQ(post("/small", std::string(10, 'x'), false, false), "HTTP/1.1 200");
  EXPECT_EQ(post("/small", std::string(11, 'x'), false, false), "HTTP/1.1 413");
  EXPECT_EQ(post("/echo", std::string(64 << 20, '\0'), false, true), "HTTP/1.1 413");  // a bomb
}

TEST_F(LimitsTest, ConnectionsBeyondTheMostAreTurnedAway) {
  HttpServerOptions options;
  options.max_connections = 2;
  Serve(options);
  std::vector<RawSocket> kept;
  for (int i = 0; i < 2; ++i) {
    kept.push_back(RawSocket::Connect(server->port()));
    kept.back().Send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(kept.back().ReadUntil("\r\n\r\n").substr(0, 12), "HTTP/1.1 200");
    kept.back().ReadUntil("/echo\n");
  }
  RawSocket third = RawSocket::Connect(server->port());
  const std::string answer = third.ReadAll();
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 1\r\n"));
  kept[0].Send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(kept[0].ReadUntil("\r\n\r\n").substr(0, 12), "HTTP/1.1 200");
}

}  // namespace
}  // namespace picket::net
