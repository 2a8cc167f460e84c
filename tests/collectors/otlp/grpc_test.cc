// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <thread>

#include "tests/collectors/otlp/fixture.h"

namespace picket::collectors::otlp {
namespace {

using grpc::StatusCode;
using proto::RpcCode;

TEST_F(OtlpTest, ACallIsAnsweredOkAndReachesTheSinkAsItWas) {
  StartCollector();
  const std::string body = Body(10);
  const Answer answer = Grpc(body);
  EXPECT_EQ(answer.status, StatusCode::OK) << answer.message;
  EXPECT_EQ(answer.body, "");
  ASSERT_EQ(sink->bodies.size(), 1u);
  EXPECT_EQ(sink->bodies[0], body);
  EXPECT_EQ(Grpc("").status, StatusCode::OK) << "an empty request is a success";
}

TEST_F(OtlpTest, ACompressedCallIsTaken) {
  StartCollector();
  const std::string body = Body(100);
  const Answer answer =
      Grpc(body, std::string(proto::kTraceExportMethod),
           [](grpc::ClientContext& c) { c.set_compression_algorithm(GRPC_COMPRESS_GZIP); });
  EXPECT_EQ(answer.status, StatusCode::OK) << answer.message;
  ASSERT_EQ(sink->bodies.size(), 1u);
  EXPECT_EQ(sink->bodies[0], body);
}

TEST_F(OtlpTest, OverTheLimitIsResourceExhaustedAlsoForABomb) {
  OtlpConfig config;
  config.max_request_size = 64_KiB;
  StartCollector(config);
  EXPECT_EQ(Grpc(std::string(70'000, 'x')).status, StatusCode::RESOURCE_EXHAUSTED);
  const Answer bomb =
      Grpc(std::string(20'000'000, '\0'), std::string(proto::kTraceExportMethod),
           [](grpc::ClientContext& c) { c.set_compression_algorithm(GRPC_COMPRESS_GZIP); });
  EXPECT_EQ(bomb.status, StatusCode::RESOURCE_EXHAUSTED) << bomb.message;
  EXPECT_EQ(sink->offered, 0);
  EXPECT_EQ(Grpc(Body(1)).status, StatusCode::OK);
}

TEST_F(OtlpTest, FaultsCarryTheCodesOfTheSpecification) {
  StartCollector();
  const Answer bad = Grpc("junk");
  EXPECT_EQ(bad.status, StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(bad.rpc.code, RpcCode::kInvalidArgument) << "details carry the status";
  test::ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(Body(3)));
  request.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans(0)->clear_trace_id();
  const Answer partial = Grpc(request.SerializeAsString());
  EXPECT_EQ(partial.status, StatusCode::OK);
  EXPECT_EQ(proto::DecodeExportResponse(partial.body).rejected, 1);

  const Answer metrics =
      Grpc("", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
  EXPECT_EQ(metrics.status, StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(metrics.message, testing::HasSubstr("metrics are not enabled"));
  EXPECT_EQ(Grpc("", "/no.such.Service/Method").status, StatusCode::UNIMPLEMENTED);
}

TEST_F(OtlpTest, WhenMemoryIsShortACallIsUnavailableWithRetryInfo) {
  OtlpConfig config;
  config.retry_after = 2500ms;
  StartCollector(config, &budget);
  auto hog = budget.Reserve(BudgetClass::kStore, 900 << 10);
  const Answer busy = Grpc(Body(100));
  EXPECT_EQ(busy.status, StatusCode::UNAVAILABLE);
  EXPECT_EQ(busy.rpc.retry_delay, 2500ms);
  EXPECT_EQ(sink->offered, 0);
  hog->Release();
  EXPECT_EQ(Grpc(Body(1)).status, StatusCode::OK);
  sink->answer = {Admission::Verdict::kRetry, 3s, 0, ""};
  EXPECT_EQ(Grpc(Body(1)).rpc.retry_delay, 3000ms);
}

std::string HealthRequest(std::string_view service) {
  std::string out;
  if (!service.empty()) proto::Writer(out).PutBytes(1, service);
  return out;
}

TEST_F(OtlpTest, HealthCheckKnowsTheServerAndTheTraceService) {
  StartCollector();
  const std::string check = "/grpc.health.v1.Health/Check";
  for (std::string_view service : {"", "opentelemetry.proto.collector.trace.v1.TraceService"}) {
    const Answer answer = Grpc(HealthRequest(service), check);
    EXPECT_EQ(answer.status, StatusCode::OK);
    EXPECT_EQ(answer.body, "\x08\x01") << "SERVING";
  }
  EXPECT_EQ(Grpc(HealthRequest("other"), check).status, StatusCode::NOT_FOUND);
}

TEST_F(OtlpTest, AWatcherIsToldThatTheServerGoes) {
  StartCollector();
  grpc::GenericStub stub(grpc::CreateChannel("127.0.0.1:" + std::to_string(collector->grpc_port()),
                                             grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto stream = stub.PrepareCall(&context, "/grpc.health.v1.Health/Watch", &queue);
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return ok;
  };
  stream->StartCall(nullptr);
  ASSERT_TRUE(next());
  const grpc::Slice empty;
  stream->Write(grpc::ByteBuffer(&empty, 1), nullptr);
  ASSERT_TRUE(next());
  stream->WritesDone(nullptr);
  (void)next();
  grpc::ByteBuffer first;
  stream->Read(&first, nullptr);
  if (next()) {
    grpc::Slice slice;
    ASSERT_TRUE(first.TrySingleSlice(&slice).ok());
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(slice.begin()), slice.size()), "\x08\x01");
    std::thread stopper([&] { collector->Stop(5s); });
    grpc::ByteBuffer second;
    stream->Read(&second, nullptr);
    EXPECT_TRUE(next());
    ASSERT_TRUE(second.TrySingleSlice(&slice).ok());
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(slice.begin()), slice.size()), "\x08\x02");
    grpc::Status status;
    stream->Finish(&status, nullptr);
    EXPECT_TRUE(next());
    EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
    stopper.join();
  } else {
    ADD_FAILURE() << "no first status";
  }
}

TEST_F(OtlpTest, ManyCallsAtOnceWhileTheServerStops) {
  OtlpConfig config;
  config.grpc_threads = 2;
  StartCollector(config);
  const std::string body = Body(20);
  std::atomic<int> accepted{0};
  std::vector<std::thread> pushers;
  for (int i = 0; i < 4; ++i) {
    pushers.emplace_back([&] {
      for (int n = 0; n < 30; ++n)
        if (Grpc(body).status == StatusCode::OK) ++accepted;
    });
  }
  while (accepted.load() < 20) std::this_thread::yield();
  collector->Stop(2s);
  for (auto& t : pushers) t.join();
  EXPECT_LE(static_cast<size_t>(accepted.load()), sink->bodies.size())
      << "whoever was told OK has been taken";
  EXPECT_EQ(Books().queued(), 0);
}

TEST_F(OtlpTest, AnAddressInUseIsAnError) {
  StartCollector();
  OtlpConfig config;
  config.http = "";
  config.grpc = "127.0.0.1:" + std::to_string(collector->grpc_port());
  OtlpCollector second(config, OtlpDeps{runtime, intake, telemetry, balances, nullptr, clock});
  const auto started = second.Start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message(), testing::HasSubstr("cannot bind"));
}

}  // namespace
}  // namespace picket::collectors::otlp
