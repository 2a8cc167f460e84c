// SPDX-License-Identifier: Apache-2.0
#include <libdeflate.h>
#include <zstd.h>

#include <thread>

#include "tests/collectors/otlp/fixture.h"
#include "tests/core/net/harness.h"

namespace picket::collectors::otlp {
namespace {

using proto::RpcCode;

std::string Gzip(std::string_view body) {
  auto* c = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(c, body.size()), '\0');
  out.resize(libdeflate_gzip_compress(c, body.data(), body.size(), out.data(), out.size()));
  libdeflate_free_compressor(c);
  return out;
}

std::string Zlib(std::string_view body) {
  auto* c = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_zlib_compress_bound(c, body.size()), '\0');
  out.resize(libdeflate_zlib_compress(c, body.data(), body.size(), out.data(), out.size()));
  libdeflate_free_compressor(c);
  return out;
}

std::string Zstd(std::string_view body) {
  std::string out(ZSTD_compressBound(body.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), body.data(), body.size(), 1));
  return out;
}

net::HttpHeaders Encoded(const char* encoding) {
  return {{"Content-Type", "application/x-protobuf"}, {"Content-Encoding", encoding}};
}

TEST_F(OtlpTest, ARequestIsAnsweredOkWithAnEmptyResponseAndReachesTheSinkAsItWas) {
  StartCollector();
  const std::string body = Body(10);
  const Answer answer = Http(body);
  EXPECT_EQ(answer.status, 200) << answer.message;
  EXPECT_EQ(answer.headers.Get("Content-Type"), "application/x-protobuf");
  EXPECT_EQ(answer.body, "");
  ASSERT_EQ(sink->bodies.size(), 1u);
  EXPECT_EQ(sink->bodies[0], body);
  EXPECT_EQ(Books().in, 10u);
  EXPECT_EQ(Books().out, 10u);
}

TEST_F(OtlpTest, EveryEncodingIsTaken) {
  StartCollector();
  const std::string body = Body(50);
  EXPECT_EQ(Http(Gzip(body), Encoded("gzip")).status, 200);
  EXPECT_EQ(Http(Gzip(body.substr(0, 700)) + Gzip(body.substr(700)), Encoded("gzip")).status, 200);
  EXPECT_EQ(Http(Zlib(body), Encoded("deflate")).status, 200);
  EXPECT_EQ(Http(Zstd(body), Encoded("zstd")).status, 200);
  EXPECT_EQ(Http(body, Encoded("identity")).status, 200);
  ASSERT_EQ(sink->bodies.size(), 5u);
  for (const auto& taken : sink->bodies) EXPECT_EQ(taken, body);
}

TEST_F(OtlpTest, DamagedCompressionIsABadRequest) {
  StartCollector();
  std::string packed = Gzip(Body(50));
  EXPECT_EQ(Http(packed.substr(0, packed.size() / 2), Encoded("gzip")).status, 400);
  packed[packed.size() / 2] ^= 0x55;
  EXPECT_EQ(Http(packed, Encoded("gzip")).status, 400);
  EXPECT_EQ(Http("not gzip at all, not at all", Encoded("gzip")).status, 400);
  EXPECT_EQ(Http(Zstd(Body(50)).substr(0, 100), Encoded("zstd")).status, 400);
  EXPECT_EQ(sink->offered, 0);
}

TEST_F(OtlpTest, OverTheLimitIs413WithAStatusAlsoForABomb) {
  OtlpConfig config;
  config.max_request_size = 64_KiB;
  StartCollector(config);
  for (const Answer& answer :
       {Http(std::string(70'000, 'x')), Http(Gzip(std::string(50'000'000, '\0')), Encoded("gzip")),
        Http(Zstd(std::string(50'000'000, '\0')), Encoded("zstd"))}) {
    EXPECT_EQ(answer.status, 413);
    EXPECT_EQ(answer.rpc.code, RpcCode::kResourceExhausted);
    EXPECT_FALSE(answer.rpc.retry_delay);
  }
}

TEST_F(OtlpTest, AnEmptyRequestIsASuccess) {
  StartCollector();
  EXPECT_EQ(Http("").status, 200);
  EXPECT_EQ(sink->offered, 0);
}

TEST_F(OtlpTest, WrongMethodTypeEncodingAndSignalAreNamed) {
  StartCollector();
  EXPECT_EQ(Http("", {}, "/v1/traces", "GET").status, 405);
  EXPECT_EQ(Http("", {}, "/v1/traces", "GET").headers.Get("Allow"), "POST");
  EXPECT_EQ(Http("x", {{"Content-Type", "text/plain"}}).status, 415);
  EXPECT_EQ(Http("x").status, 400);
  EXPECT_EQ(Http("x", Encoded("br")).status, 415);
  const Answer metrics = Http(Body(1), {{"Content-Type", "application/x-protobuf"}}, "/v1/metrics");
  EXPECT_EQ(metrics.status, 404);
  EXPECT_THAT(metrics.rpc.message, testing::HasSubstr("metrics are not enabled"));
  const Answer logs = Http("{}", {{"Content-Type", "application/json"}}, "/v1/logs");
  EXPECT_EQ(logs.status, 404);
  EXPECT_THAT(logs.body, testing::HasSubstr("\"code\":12"));
}

TEST_F(OtlpTest, MalformedBytesAndLogsOnTheTracesPathAreBadRequestsWithAStatus) {
  StartCollector();
  const Answer cut = Http(Body(5).substr(0, 300));
  EXPECT_EQ(cut.status, 400);
  EXPECT_EQ(cut.rpc.code, RpcCode::kInvalidArgument);
  EXPECT_THAT(cut.rpc.message, testing::HasSubstr("malformed"));
  test::ExportLogsServiceRequest logs;
  logs.add_resource_logs()->add_scope_logs()->add_log_records()->set_time_unix_nano(5);
  const Answer wrong = Http(logs.SerializeAsString());
  EXPECT_EQ(wrong.status, 400);
  EXPECT_THAT(wrong.rpc.message, testing::HasSubstr("logs request"));
}

TEST_F(OtlpTest, OneBadSpanIsRejectedAloneAndAllBadIsABadRequest) {
  StartCollector();
  test::ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(Body(3)));
  request.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans(1)->set_trace_id(
      "short");
  const Answer partial = Http(request.SerializeAsString());
  EXPECT_EQ(partial.status, 200);
  const auto success = proto::DecodeExportResponse(partial.body);
  EXPECT_EQ(success.rejected, 1);
  EXPECT_THAT(success.message, testing::HasSubstr("trace id"));
  EXPECT_EQ(sink->spans, 2u);
  EXPECT_EQ(Books().in, 3u);
  EXPECT_EQ(Books().out, 2u);
  EXPECT_EQ(Books().dropped, 1u);

  auto& spans = *request.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans();
  for (auto& span : spans) span.clear_span_id();
  EXPECT_EQ(Http(request.SerializeAsString()).status, 400);
  EXPECT_EQ(Books().queued(), 0);
}

TEST_F(OtlpTest, TheWorstVerdictOfTheSinksIsTheAnswer) {
  StartCollector();
  auto second = std::make_shared<RecordingSink>();
  collector->SetSinks({sink, second});
  second->answer = {Admission::Verdict::kRetry, 7s, 0, "disk full"};
  const Answer busy = Http(Body(2));
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.headers.Get("Retry-After"), "7");
  EXPECT_EQ(busy.rpc.retry_delay, 7000ms);
  EXPECT_EQ(Books().in, 0u) << "a refused request is not taken in";
  second->answer = {Admission::Verdict::kRejected, 1s, 0, "never"};
  EXPECT_EQ(Http(Body(2)).status, 400);
  second->answer = {};
  EXPECT_EQ(Http(Body(2)).status, 200);
}

TEST_F(OtlpTest, WhenMemoryIsShortARequestIsRefusedBeforeItsBodyIsSent) {
  StartCollector({}, &budget);
  auto hog = budget.Reserve(BudgetClass::kStore, 900 << 10);
  ASSERT_TRUE(hog);
  auto socket = net::RawSocket::Connect(collector->http_port());
  // The body announced here is never sent.
  socket.Send(
      "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
      "Content-Length: 500000\r\n\r\n");
  const std::string head = socket.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, testing::HasSubstr(" 503 "));
  EXPECT_THAT(head, testing::HasSubstr("Retry-After: 1"));
  EXPECT_EQ(sink->offered, 0);
  hog->Release();
  EXPECT_EQ(Http(Body(2)).status, 200);
  // The lease ends with the slab and its reply.
  while (budget.used(BudgetClass::kSpanSlabs) > 0) std::this_thread::yield();
}

TEST_F(OtlpTest, ATokenIsAskedForOverBothTransports) {
  OtlpConfig config;
  config.web.bearer_token = Secret("s3cret");
  StartCollector(config);
  EXPECT_EQ(Http(Body(1)).status, 401);
  EXPECT_EQ(Http(Body(1),
                 {{"Content-Type", "application/x-protobuf"}, {"Authorization", "Bearer s3cret"}})
                .status,
            200);
  EXPECT_EQ(Grpc(Body(1)).status, grpc::StatusCode::UNAUTHENTICATED);
  const auto with = [](const char* token) {
    return [token](grpc::ClientContext& c) { c.AddMetadata("authorization", token); };
  };
  const std::string method(proto::kTraceExportMethod);
  EXPECT_EQ(Grpc(Body(1), method, with("Bearer wrong!")).status, grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Grpc(Body(1), method, with("Bearer s3cret")).status, grpc::StatusCode::OK);
}

TEST_F(OtlpTest, AfterStopNothingIsTaken) {
  StartCollector();
  EXPECT_EQ(Http(Body(1)).status, 200);
  collector->Stop(1s);
  EXPECT_EQ(Http(Body(1)).status, 0);
  EXPECT_EQ(Grpc(Body(1)).status, grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace picket::collectors::otlp
