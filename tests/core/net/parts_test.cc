// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "core/net/gzip.h"
#include "core/net/internal/chunked.h"
#include "core/net/internal/credentials.h"
#include "core/net/internal/http_head.h"
#include "core/net/internal/router.h"
#include "core/net/internal/web_auth.h"
#include "core/net/url.h"
#include "tests/core/net/harness.h"

namespace picket::net {
namespace {

TEST(UrlTest, TellsItsPartsAndItsOrigin) {
  struct Case {
    std::string text, origin, authority, target;
  };
  const std::vector<Case> cases{
      {"http://a", "http://a:80", "a", "/"},
      {"HTTP://Shop.Example:8080/metrics?x=1#frag", "http://shop.example:8080", "shop.example:8080",
       "/metrics?x=1"},
      {"https://[::1]:443/p", "https://[::1]:443", "[::1]", "/p"},
      {"http://[fe80::1]:9100", "http://[fe80::1]:9100", "[fe80::1]:9100", "/"},
      {"http://user:pw@h:1?q", "http://h:1", "h:1", "/?q"},
      {"unix:///run/x.sock:/m?y", "unix:///run/x.sock", "localhost", "/m?y"},
  };
  for (const Case& c : cases) {
    const auto url = Url::Parse(c.text);
    ASSERT_TRUE(url) << c.text << ": " << url.error().ToString();
    EXPECT_EQ(url->Origin(), c.origin) << c.text;
    EXPECT_EQ(url->Authority(), c.authority) << c.text;
    EXPECT_EQ(url->target, c.target) << c.text;
  }
}

TEST(UrlTest, RefusesWhatIsNotOneAndHidesPasswords) {
  for (const char* bad :
       {"", "host:80", "ftp://x", "http://", "http://:80", "http://a:99999", "http://a:0",
        "http://a:x", "http://[::1", "http://::1/", "http://a b/", "http://a/\r\nX: y",
        "unix://relative", "http://[[x]/", "http://h\"ost/", "http://{__address__}/"})
    EXPECT_FALSE(Url::Parse(bad)) << bad;
  const auto url = Url::Parse("http://me:hunter2@h/p");
  EXPECT_EQ(url->ToString(), "http://h/p");
  EXPECT_EQ(Url::Parse("http://me:hunter2@h:bad/").error().ToString().find("hunter2"),
            std::string::npos);
}

TEST(UrlTest, FollowsReferences) {
  const Url base = *Url::Parse("http://u:p@h:8080/a/b?q=1");
  EXPECT_EQ(base.Resolve("/x?y")->ToString(), "http://h:8080/x?y");
  EXPECT_EQ(base.Resolve("c")->ToString(), "http://h:8080/a/c");
  EXPECT_EQ(base.Resolve("?z")->ToString(), "http://h:8080/a/b?z");
  EXPECT_EQ(base.Resolve("//other/x")->ToString(), "http://other/x");
  EXPECT_EQ(base.Resolve("https://other/x")->ToString(), "https://other/x");
  EXPECT_EQ(base.Resolve("/r?to=http://else/")->ToString(), "http://h:8080/r?to=http://else/");
  EXPECT_EQ(base.Resolve("/x")->userinfo, "");
  EXPECT_FALSE(base.Resolve("unix:///run/docker.sock:/"));
  EXPECT_FALSE(base.Resolve("/a\r\nX: y"));
}

TEST(EncodingTest, PercentAndQuery) {
  EXPECT_EQ(*PercentDecode("a%20b%2fc+d", false), "a b/c+d");
  EXPECT_EQ(*PercentDecode("a+b", true), "a b");
  EXPECT_FALSE(PercentDecode("%", false));
  EXPECT_FALSE(PercentDecode("%4", false));
  EXPECT_FALSE(PercentDecode("%zz", false));
  EXPECT_EQ(PercentEncode("a b/ü"), "a%20b%2F%C3%BC");
  const auto q = ParseQuery("query=up%7Bjob%3D%22x%22%7D&match[]=a&match[]=b&flag&&bad=%zz");
  ASSERT_EQ(q.size(), 4u);
  EXPECT_EQ(q[0].second, "up{job=\"x\"}");
  EXPECT_EQ(q[2], std::make_pair(std::string("match[]"), std::string("b")));
  EXPECT_EQ(q[3], std::make_pair(std::string("flag"), std::string()));
}

TEST(EncodingTest, AcceptedEncodings) {
  EXPECT_TRUE(ListHas("br, GZIP;q=0.5", "gzip"));
  EXPECT_FALSE(ListHas("gzip;q=0", "gzip"));
  EXPECT_FALSE(ListHas("gzip; q=0.000, br", "gzip"));
  EXPECT_FALSE(ListHas("xgzip", "gzip"));
  EXPECT_FALSE(ListHas("", "gzip"));
}

std::string Joined(std::string_view bytes, size_t step, Status& status, std::string& rest) {
  ChunkedDecoder decoder(100);
  BodyBuffer buffer;
  status = {};
  rest.clear();
  for (size_t at = 0; at < bytes.size() && status; at += step) {
    if (decoder.done()) {
      rest += bytes.substr(at, step);
      continue;
    }
    const size_t payload = decoder.payload_end();
    buffer.Append(bytes.substr(at, step));
    status = decoder.Feed(buffer, payload);
    if (decoder.done()) rest += buffer.view().substr(decoder.payload_end());
  }
  if (status && !decoder.done()) status = Fail(ErrorKind::kIo, "unfinished");
  return std::string(buffer.view().substr(0, decoder.payload_end()));
}

TEST(ChunkedTest, JoinsTheSameHoweverItIsCut) {
  const std::string bytes =
      "5;ext=\"v\"\r\nhello\r\n0A\r\n, worlds!\n\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\n";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    Status status;
    std::string rest;
    EXPECT_EQ(Joined(bytes, step, status, rest), "hello, worlds!\n") << step;
    EXPECT_TRUE(status) << step << ": " << status.error().ToString();
    EXPECT_EQ(rest, "GET / HTTP/1.1\r\n") << step;
  }
}

TEST(ChunkedTest, RefusesWhatTwoReadersCouldReadDifferently) {
  Status status;
  std::string rest;
  for (const char* bad :
       {"\r\nhello", "g\r\n", "-1\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5;\nx\r\nhello\r\n0\r\n\r\n",
        "0\r\nA: b\n\r\n", "ffffffffffffffff\r\n"}) {
    Joined(bad, 1, status, rest);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().kind(), ErrorKind::kCorrupt) << bad;
  }
  Joined("65\r\n", 1, status, rest);  // 101 bytes announced, 100 allowed
  EXPECT_EQ(status.error().kind(), ErrorKind::kLimit);
  const std::string edge = "64\r\n" + std::string(100, 'x') + "\r\n0\r\n\r\n";
  EXPECT_EQ(Joined(edge, 7, status, rest).size(), 100u);
  EXPECT_TRUE(status);
}

TEST(GzipTest, RoundTripsAndHoldsItsLimitToTheByte) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += fmt::format("metric{{a=\"{}\"}} {}\n", i, i * 7);
  const std::string packed = GzipEncode(text);
  EXPECT_LT(packed.size(), text.size() / 3);
  BodyBuffer out;
  ASSERT_TRUE(GzipDecode(packed, text.size(), out));
  EXPECT_EQ(out.view(), text);
  const Status over = GzipDecode(packed, text.size() - 1, out);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().kind(), ErrorKind::kLimit);
  // Members one after the other are one body; the trailer of the last tells only its own size.
  ASSERT_TRUE(GzipDecode(packed + GzipEncode("end"), 0, out));
  EXPECT_EQ(out.view(), text + "end");
  EXPECT_EQ(GzipDecode(packed.substr(0, packed.size() - 9), 0, out).error().kind(),
            ErrorKind::kCorrupt);
  EXPECT_EQ(GzipDecode("plain text, not gzip", 0, out).error().kind(), ErrorKind::kCorrupt);
  EXPECT_EQ(GzipDecode(packed + "garbage", 0, out).error().kind(), ErrorKind::kCorrupt);
}

TEST(GzipTest, ABombCostsItsLimitAndNoMore) {
  const std::string bomb = GzipEncode(std::string(64 << 20, '\0'), 9);
  EXPECT_LT(bomb.size(), 100'000u);
  BodyBuffer out;
  EXPECT_EQ(GzipDecode(bomb, 1 << 20, out).error().kind(), ErrorKind::kLimit);
  EXPECT_LE(out.capacity(), 2u << 20);
  // The size in the trailer is a claim: too small and too large are both survived.
  std::string liar = GzipEncode("hello");
  liar.replace(liar.size() - 4, 4, "\xff\xff\xff\x7f");
  EXPECT_FALSE(GzipDecode(liar, 1 << 20, out));
  EXPECT_LE(out.capacity(), 2u << 20);
}

TEST(HeadTest, ReadsARequest) {
  const auto head = ParseRequestHead(
      "POST /v1/traces?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nExpect: "
      "100-continue\r\nX-A:  v \r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->target, "/v1/traces?a=b");
  EXPECT_EQ(head->content_length, 12u);
  EXPECT_TRUE(head->keep_alive && head->expects_continue && !head->chunked);
  EXPECT_EQ(head->headers.Get("x-a"), "v");
}

TEST(HeadTest, RefusesWhatIsAmbiguous) {
  struct Case {
    std::string head;
    int status;
  };
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::vector<Case> cases{
      {post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
      {post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
      {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {post + "Transfer-Encoding: identity\r\n\r\n", 501},
      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Content-Length: -1\r\n\r\n", 400},
      {post + "Content-Length: +5\r\n\r\n", 400},
      {post + "Content-Length: 5x\r\n\r\n", 400},
      {post + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
      {post + "Content-Length : 5\r\n\r\n", 400},
      {post + "X: 1\r\n folded\r\n\r\n", 400},
      {post + "X: a\x01z\r\n\r\n", 400},
      {post + ": empty\r\n\r\n", 400},
      {post + "Host: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"G T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/1.1\nHost: a\n\r\n\r\n", 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
  };
  for (const Case& c : cases) {
    const auto head = ParseRequestHead(c.head);
    ASSERT_FALSE(head) << c.head;
    EXPECT_EQ(head.error().status, c.status) << c.head << head.error().why;
  }
}

TEST(HeadTest, KnowsWhereAResponseEnds) {
  EXPECT_TRUE(ParseResponseHead("HTTP/1.1 200 OK\r\n\r\n", false)->until_close);
  EXPECT_TRUE(
      ParseResponseHead("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false)->chunked);
  for (const char* status : {"204 No Content", "304 Not Modified"}) {
    const auto head =
        ParseResponseHead(fmt::format("HTTP/1.1 {}\r\nContent-Length: 9\r\n\r\n", status), false);
    EXPECT_EQ(head->content_length, 0u) << status;
    EXPECT_TRUE(head->keep_alive) << status;
  }
  EXPECT_EQ(ParseResponseHead("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true)->content_length,
            0u);
  EXPECT_FALSE(
      ParseResponseHead("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", false)->keep_alive);
  EXPECT_EQ(ParseResponseHead("SSH-2.0-OpenSSH\r\n\r\n", false).error().kind(),
            ErrorKind::kCorrupt);
}

TEST(RouterTest, TheMoreSpecificPathWins) {
  Router router;
  for (const char* path :
       {"/", "/api/*", "/api/v1/label/{name}/values", "/api/v1/{any}/x/{other}", "/api/v1/query"}) {
    HttpRoute route;
    route.path = path;
    router.Add(std::move(route));
  }
  const auto found = [&](std::string_view path) {
    const auto m = router.Find("GET", path);
    std::string out = m.route ? m.route->path : "none";
    for (const auto& [k, v] : m.params) out += " " + k + "=" + v;
    return out;
  };
  EXPECT_EQ(found("/"), "/");
  EXPECT_EQ(found("/api/v1/query"), "/api/v1/query");
  EXPECT_EQ(found("/api/v1/label/job/values"), "/api/v1/label/{name}/values name=job");
  EXPECT_EQ(found("/api/v1/a/x/b"), "/api/v1/{any}/x/{other} any=a other=b");
  EXPECT_EQ(found("/api/v1/label//values"), "/api/*");
  EXPECT_EQ(found("/other"), "none");
  EXPECT_EQ(router.Find("POST", "/api/v1/query").allow, "GET, HEAD");
  EXPECT_NE(router.Find("HEAD", "/api/v1/query").route, nullptr);
}

TEST(RetryAfterTest, SecondsDatesAndNonsense) {
  const UnixMs now = 1'700'000'000'000;  // Tue, 14 Nov 2023 22:13:20 GMT
  const auto after = [&](const char* text) {
    return RetryAfter(HttpHeaders{{"retry-after", text}}, now).count();
  };
  EXPECT_EQ(after("5"), 5000);
  EXPECT_EQ(after("0"), 0);
  EXPECT_EQ(after("Tue, 14 Nov 2023 22:13:50 GMT"), 30'000);
  EXPECT_EQ(after("Tue, 14 Nov 2023 22:13:10 GMT"), 0);
  EXPECT_EQ(after("99999999"), 86'400'000);
  EXPECT_LT(after("soon"), 0);
  EXPECT_LT(RetryAfter({}, now).count(), 0);
}

TEST(PasswordTest, PlainAndHashed) {
  EXPECT_TRUE(PasswordFits("secret", "secret"));
  EXPECT_FALSE(PasswordFits("secre", "secret"));
  EXPECT_FALSE(PasswordFits("", ""));
  // bcrypt of "s3cret" at cost 4.
  const std::string hash = "$2y$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG";
  EXPECT_TRUE(PasswordFits("s3cret", hash));
  EXPECT_FALSE(PasswordFits("wrong", hash));
  EXPECT_FALSE(PasswordFits(std::string("a\0b", 3), "a"));
  EXPECT_EQ(Base64Decode(Base64Encode("user:päss")), "user:päss");
  EXPECT_EQ(Base64Decode("!!!"), "");
}

TEST(BufferTest, KeepsItsMemoryAndPadding) {
  BodyBuffer buffer;
  buffer.Reserve(100);
  EXPECT_EQ(buffer.capacity(), 100u);
  buffer.Append("hello");
  buffer.Reserve(101);
  EXPECT_EQ(buffer.view(), "hello");
  EXPECT_GE(buffer.capacity(), 150u);
  const char* before = buffer.data();
  buffer.Clear();
  buffer.Reserve(120);
  EXPECT_EQ(buffer.data(), before);
  EXPECT_EQ(buffer.data()[buffer.capacity() + BodyBuffer::kPadding - 1], 0);
  buffer.Trim(10);
  EXPECT_EQ(buffer.capacity(), 0u);
}

}  // namespace
}  // namespace picket::net
