// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "core/net/gzip.h"
#include "tests/core/net/harness.h"

namespace picket::net {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ServerTest : public NetTest {
 protected:
  std::string Raw(std::string_view sent) {
    RawSocket socket = RawSocket::Connect(server->port());
    socket.Send(sent);
    return socket.ReadAll();
  }
};

TEST_F(ServerTest, AnswersWhatItDoesNotKnowInWords) {
  Serve({}, [](HttpServer& s) {
    s.Get("/only/get", EchoHandler);
    s.Post("/only/post", EchoHandler);
    s.Get("/label/{name}/values", EchoHandler);
  });
  EXPECT_THAT(Raw("GET /nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              HasSubstr("There is nothing at /nope."));
  const std::string wrong = Raw("POST /only/get HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(wrong, HasSubstr("Allow: GET, HEAD, OPTIONS\r\n"));
  const std::string options =
      Raw("OPTIONS /only/post HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(options, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(options, HasSubstr("Allow: POST, OPTIONS\r\n"));
  EXPECT_THAT(Raw("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 204 "));
  EXPECT_EQ(Fetch(Get(url("/label/a%20b/values?x=1")))->body,
            "GET /label/a b/values?x=1 {name=a b}\n");
  EXPECT_THAT(Raw("GET http://any/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              HasSubstr("GET /echo\n"));
  EXPECT_THAT(Raw("GET /%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(ServerTest, MalformedHeadsAreRefusedAndTheConnectionEnds) {
  Serve();
  for (const char* head :
       {"GET /echo\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n", "GET /echo HTTP/1.1\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    const std::string answer = Raw(head);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << head;
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(answer.find("HTTP/1.1", 8), std::string::npos) << "a smuggled request was answered";
  }
  EXPECT_THAT(Raw("GET /echo HTTP/3.7\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 505 "));
  EXPECT_THAT(Raw("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
              StartsWith("HTTP/1.1 501 "));
  EXPECT_THAT(Raw("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Serve();
  std::string sent = "\r\n";
  for (int i = 0; i < 20; ++i)
    sent +=
        fmt::format("POST /echo/{} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{:02}", i, i);
  sent +=
      "POST /echo/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  sent += "GET /echo/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const std::string answer = Raw(sent);
  size_t at = 0;
  for (int i = 0; i < 20; ++i) {
    const size_t next = answer.find(fmt::format("POST /echo/{}\n{:02}", i, i), at);
    ASSERT_NE(next, std::string::npos) << i;
    at = next;
  }
  EXPECT_THAT(answer.substr(at), HasSubstr("POST /echo/c\nabc"));
  EXPECT_THAT(answer, testing::EndsWith("GET /echo/last\n"));
}

TEST_F(ServerTest, OldClientsAndHead) {
  Serve();
  EXPECT_THAT(Raw("GET /echo HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close\r\n\r\nGET /echo\n"));
  const std::string head = Raw("HEAD /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 11\r\n"));
  EXPECT_THAT(head, testing::EndsWith("\r\n\r\n"));
}

TEST_F(ServerTest, RefusesOnTheHeadWithoutReadingTheBody) {
  auto held = std::make_shared<int>(0);
  std::weak_ptr<int> watch = held;
  std::atomic<int> handled{0};
  Serve({}, [&](HttpServer& s) {
    HttpRoute route;
    route.method = "POST";
    route.path = "/v1/traces";
    route.admit = [&held](const HttpRequestHead& head) {
      Admit admit;
      if (!head.content_length || *head.content_length > 100) {
        admit.refusal = HttpReply::Text(503, "Over the memory budget.");
        admit.refusal->headers.Add("Retry-After", "7");
      } else {
        admit.hold = held;
      }
      return admit;
    };
    route.handler = [&handled](HttpServerRequest request) -> asio::awaitable<HttpReply> {
      ++handled;
      co_return HttpReply::Text(200, request.hold ? "held" : "not held");
    };
    s.Route(std::move(route));
  });
  // Nothing but the head is ever sent, so an answer shows that nothing else was waited for.
  RawSocket socket = RawSocket::Connect(server->port());
  socket.Send("POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
  const std::string refusal = socket.ReadUntil("budget.\n");
  EXPECT_THAT(refusal, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(refusal, HasSubstr("Retry-After: 7\r\n"));
  EXPECT_THAT(refusal, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(handled, 0);
  // A small refused body is read over and the connection lives on.
  RawSocket small = RawSocket::Connect(server->port());
  small.Send("POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n" +
             std::string(200, 'x'));
  EXPECT_THAT(small.ReadUntil("budget.\n"), HasSubstr("Connection: keep-alive\r\n"));
  small.Send(
      "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
  EXPECT_THAT(small.ReadAll(), testing::EndsWith("\r\n\r\nheld\n"));
  held.reset();
  EXPECT_TRUE(watch.expired());
}

TEST_F(ServerTest, AsksForABodyOnlyWhenItWantsIt) {
  HttpServerOptions options;
  options.body_limit = 100;
  Serve(options);
  RawSocket socket = RawSocket::Connect(server->port());
  socket.Send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: "
      "close\r\n\r\n");
  EXPECT_EQ(socket.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.Send("body");
  EXPECT_THAT(socket.ReadAll(), testing::EndsWith("POST /echo\nbody"));
  EXPECT_THAT(
      Raw("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n"),
      StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, DecodesGzipAndHandsOtherCodingsThrough) {
  Serve();
  const std::string packed = GzipEncode("plain text");
  HttpRequest request = Get(url("/echo"));
  request.method = "POST";
  request.body = {packed};
  request.headers.Set("Content-Encoding", "gzip");
  EXPECT_EQ(Fetch(request)->body, "POST /echo\nplain text");
  request.headers.Set("Content-Encoding", "zstd");
  request.body = {"zzz"};
  EXPECT_EQ(Fetch(request)->body, "POST /echo encoding=zstd\nzzz");
  request.headers.Set("Content-Encoding", "gzip");
  auto response = Fetch(request);
  EXPECT_EQ(response->status, 400);
  EXPECT_THAT(response->body, HasSubstr("gzip body is damaged"));
}

TEST_F(ServerTest, CompressesLargeTextWhenAccepted) {
  const std::string text(10'000, 't');
  Serve({}, [&](HttpServer& s) {
    s.Get("/big", [text](HttpServerRequest) -> asio::awaitable<HttpReply> {
      co_return HttpReply::Json(200, text);
    });
    s.Get("/small", [](HttpServerRequest) -> asio::awaitable<HttpReply> {
      co_return HttpReply::Json(200, "{}");
    });
    s.Get("/image", [text](HttpServerRequest) -> asio::awaitable<HttpReply> {
      HttpReply reply;
      reply.headers.Add("Content-Type", "image/png");
      reply.body = text;
      co_return reply;
    });
  });
  const auto response = Fetch(Get(url("/big")));
  EXPECT_EQ(response->body, text);
  EXPECT_LT(response->wire_body_bytes, 200u);
  EXPECT_EQ(response->headers.Get("vary"), "Accept-Encoding");
  HttpRequest identity = Get(url("/big"));
  identity.accept_gzip = false;
  EXPECT_EQ(Fetch(identity)->wire_body_bytes, text.size());
  EXPECT_EQ(Fetch(Get(url("/small")))->headers.Get("content-encoding"), "");
  EXPECT_EQ(Fetch(Get(url("/image")))->wire_body_bytes, text.size());
}

TEST_F(ServerTest, StreamsInChunks) {
  Serve({}, [](HttpServer& s) {
    s.Get("/stream", [](HttpServerRequest) -> asio::awaitable<HttpReply> {
      HttpReply reply;
      auto count = std::make_shared<int>(0);
      reply.stream = [count]() -> asio::awaitable<std::string> {
        const int n = ++*count;
        co_return n <= 3 ? std::string(static_cast<size_t>(n), static_cast<char>('0' + n))
                         : std::string();
      };
      co_return reply;
    });
  });
  EXPECT_EQ(Fetch(Get(url("/stream")))->body, "122333");
  const std::string raw = Raw("GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(raw, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(raw, testing::EndsWith("\r\n\r\n1\r\n1\r\n2\r\n22\r\n3\r\n333\r\n0\r\n\r\n"));
  EXPECT_THAT(Raw("GET /stream HTTP/1.0\r\n\r\n"), testing::EndsWith("\r\n\r\n122333"));
}

TEST_F(ServerTest, AFailingHandlerIsA500AndTheServerGoesOn) {
  Serve({}, [](HttpServer& s) {
    s.Get("/throws", [](HttpServerRequest) -> asio::awaitable<HttpReply> {
      throw std::runtime_error("secret detail");
      co_return HttpReply{};
    });
    s.Get("/split", [](HttpServerRequest) -> asio::awaitable<HttpReply> {
      HttpReply reply = HttpReply::Text(200, "ok");
      reply.headers.Add("X-Echo", "a\r\nSet-Cookie: evil");
      co_return reply;
    });
  });
  const auto response = Fetch(Get(url("/throws")));
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(response->body.find("secret"), std::string::npos);
  EXPECT_FALSE(Fetch(Get(url("/split")))->headers.Has("set-cookie"));
  EXPECT_EQ(Fetch(Get(url("/echo")))->status, 200);
}

TEST_F(ServerTest, ListensWhereItIsTold) {
  for (const char* bad : {"", "nonsense:x", "127.0.0.1:70000", "example.org:80", "127.0.0.1:"}) {
    HttpServerOptions options;
    options.listen = bad;
    HttpServer refused(runtime, options);
    const Status status = refused.Start();
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().kind(), ErrorKind::kInvalidArgument) << bad;
  }
  Serve();
  EXPECT_EQ(server->address(), fmt::format("127.0.0.1:{}", server->port()));
  HttpServerOptions same;
  same.listen = server->address();
  HttpServer second(runtime, same);
  const Status taken = second.Start();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().message(),
            fmt::format("listen {}: Address already in use", server->address()));
  HttpServerOptions bare;
  bare.listen = "0";
  HttpServer loopback(runtime, bare);
  ASSERT_TRUE(loopback.Start());
  EXPECT_THAT(loopback.address(), StartsWith("127.0.0.1:"));
  HttpServerOptions open;
  open.listen = ":0";
  HttpServer everywhere(runtime, open);
  ASSERT_TRUE(everywhere.Start());
  EXPECT_THAT(everywhere.address(), StartsWith("0.0.0.0:"));
}

TEST_F(ServerTest, CountsWhatItDoes) {
  Telemetry telemetry;
  Serve({}, [&](HttpServer& s) { s.Observe(telemetry); });
  HttpRequest post = Get(url("/echo"));
  post.method = "POST";
  post.body = {"12345"};
  ASSERT_TRUE(Fetch(post));
  ASSERT_TRUE(Fetch(Get(url("/nope"))));
  std::map<std::string, double> values;
  for (const auto& family : telemetry.Collect())
    for (const auto& sample : family.samples)
      values[family.name + (sample.labels.size() > 1 ? sample.labels[1].second : "")] =
          sample.value;
  EXPECT_EQ(values["picket_http_server_requests_total2xx"], 1);
  EXPECT_EQ(values["picket_http_server_requests_total4xx"], 1);
  EXPECT_EQ(values["picket_http_server_received_body_bytes_total"], 5);
}

// A handler that says when it has begun and waits to be let go.
struct Gate {
  std::promise<void> entered;
  std::atomic<bool> open{false};
  HttpHandler Handler() {
    return [this](HttpServerRequest) { return Wait(); };
  }
  asio::awaitable<HttpReply> Wait() {
    entered.set_value();
    while (!open) {
      const bool slept = co_await Sleep(1ms);
      if (!slept) co_return HttpReply::Text(500, "cancelled");
    }
    co_return HttpReply::Text(200, "finished");
  }
};

TEST_F(ServerTest, StopLetsRequestsInFlightFinish) {
  Gate gate;
  Serve({}, [&](HttpServer& s) { s.Get("/wait", gate.Handler()); });
  RawSocket idle = RawSocket::Connect(server->port());
  idle.Send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  idle.ReadUntil("/echo\n");
  RawSocket busy = RawSocket::Connect(server->port());
  busy.Send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  gate.entered.get_future().wait();
  std::thread stopping([&] { server->Stop(1h); });
  EXPECT_EQ(idle.ReadAll(), "");  // closed at once
  gate.open = true;
  const std::string answer = busy.ReadAll();
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("finished\n"));
  stopping.join();
}

TEST_F(ServerTest, StopEndsWhatDoesNotFinish) {
  Gate gate;
  Serve({}, [&](HttpServer& s) { s.Get("/wait", gate.Handler()); });
  RawSocket busy = RawSocket::Connect(server->port());
  busy.Send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  gate.entered.get_future().wait();
  server->Stop(1ms);
  EXPECT_EQ(busy.ReadAll(), "");
}

TEST_F(ServerTest, ManyClientsAtOnce) {
  Serve();
  HttpClient client(runtime, {});
  std::vector<std::future<Result<HttpResponse>>> all;
  for (int i = 0; i < 200; ++i)
    all.push_back(asio::co_spawn(runtime.Next(), client.Fetch(Get(url(fmt::format("/echo/{}", i)))),
                                 asio::use_future));
  for (int i = 0; i < 200; ++i) {
    const auto response = all[static_cast<size_t>(i)].get();
    ASSERT_TRUE(response) << Said(response);
    EXPECT_EQ(response->body, fmt::format("GET /echo/{}\n", i));
  }
}

}  // namespace
}  // namespace picket::net
