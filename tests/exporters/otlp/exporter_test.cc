// SPDX-License-Identifier: Apache-2.0
#include "exporters/otlp/exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <thread>

#include "tests/core/proto/otlp_random.h"
#include "tests/exporters/otlp/backend.h"

namespace picket::exporters::otlp {
namespace {

using namespace std::chrono_literals;
using proto::RpcCode;

class OtlpExporterTest : public testing::TestWithParam<bool> {
 protected:
  OtlpExporterTest() {
    std::string name = (std::filesystem::temp_directory_path() / "picket-otlp-XXXXXX").string();
    directory = ::mkdtemp(name.data());
    if (GetParam())
      grpc = std::make_unique<GrpcBackend>(ledger);
    else
      http = std::make_unique<HttpBackend>(backend_runtime, ledger);
  }
  ~OtlpExporterTest() override {
    exporter.reset();
    runtime.Stop();
    http.reset();
    grpc.reset();
    backend_runtime.Stop();
    std::filesystem::remove_all(directory);
  }
  OtlpExporterConfig Config() const {
    OtlpExporterConfig config;
    config.name = "backend";
    config.endpoint = http ? http->endpoint() : grpc->endpoint();
    config.batch.max_wait = 1ms;
    config.retry.min_backoff = 5ms;
    config.retry.max_backoff = 20ms;
    return config;
  }
  void Open(std::vector<OtlpExporterConfig> configs) {
    spool::SpoolOptions options;
    options.directory = directory;
    auto opened = OtlpExporter::Open(std::move(configs),
                                     OtlpExporterDeps{runtime, telemetry, balances, options});
    ASSERT_TRUE(opened) << opened.error().ToString();
    exporter = *std::move(opened);
  }
  /// A request of spans whose ids are counted up, and the ids.
  std::string Body(int spans, size_t attribute_bytes = 20) {
    test::ExportTraceServiceRequest request;
    auto& resource = *request.add_resource_spans();
    test::RandomTraces::Pair(*resource.mutable_resource()->add_attributes(), "service.name",
                             "shop");
    auto& scope = *resource.add_scope_spans();
    for (int i = 0; i < spans; ++i) {
      auto& span = *scope.add_spans();
      span.set_trace_id(std::string(16, 't'));
      std::string id = std::to_string(next_id++);
      id.insert(0, 8 - id.size(), '0');
      span.set_span_id(id);
      span.set_name("op");
      test::RandomTraces::Pair(*span.add_attributes(), "k", std::string(attribute_bytes, 'v'));
    }
    return request.SerializeAsString();
  }
  Admission Push(const std::string& body) {
    return exporter->OnSpans({std::make_shared<const std::string>(body), proto::CountSpans(body)});
  }
  Balance::Snapshot Books(const std::string& name = "backend") {
    return balances.Open("exporters.otlp", name, "spans")->Read();
  }
  /// The sender settles after the backend has answered.
  bool Settled(const std::string& name = "backend") {
    for (int i = 0; i < 20'000; ++i) {
      if (Books(name).queued() == 0) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }
  uint64_t Dropped(DropReason reason) {
    return balances.Open("exporters.otlp", "backend", "spans")->dropped(reason);
  }
  /// A refusal in the words of either transport.
  static Says Refusal(int http, RpcCode code, std::string message = "no",
                      std::optional<Milliseconds> delay = {}) {
    Says says;
    says.http = http;
    says.rpc = {code, std::move(message), delay};
    return says;
  }

  int next_id = 1;
  std::string directory;
  Ledger ledger;
  net::Runtime backend_runtime{1};
  std::unique_ptr<HttpBackend> http;
  std::unique_ptr<GrpcBackend> grpc;
  net::Runtime runtime{2};
  Telemetry telemetry;
  BalanceBook balances;
  std::shared_ptr<OtlpExporter> exporter;
};

TEST_P(OtlpExporterTest, EverySpanArrivesOnce) {
  Open({Config()});
  exporter->Start();
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(Push(Body(1 + i % 7)).verdict, Admission::Verdict::kAccepted);
  const auto spans = static_cast<size_t>(next_id - 1);
  EXPECT_TRUE(ledger.WaitForSpans(spans));
  EXPECT_TRUE(Settled());
  for (const auto& [id, times] : ledger.spans()) EXPECT_EQ(times, 1) << id;
  EXPECT_EQ(Books().out, spans);
}

TEST_P(OtlpExporterTest, SmallRequestsThatWaitAreJoined) {
  Open({Config()});
  for (int i = 0; i < 300; ++i) Push(Body(2));
  exporter->Start();
  EXPECT_TRUE(ledger.WaitForSpans(600));
  EXPECT_LE(ledger.requests().size(), 30u);
  EXPECT_TRUE(Settled());
}

TEST_P(OtlpExporterTest, AFullRequestDoesNotWaitForMore) {
  auto config = Config();
  config.batch.max_wait = 1h;
  Open({config});
  exporter->Start();
  for (int i = 0; i < 12; ++i) Push(Body(400, 1000));
  EXPECT_TRUE(ledger.WaitForSpans(4800));
}

TEST_P(OtlpExporterTest, ALargeRequestIsCutBelowTheLimit) {
  auto config = Config();
  config.batch.max_bytes = 64_KiB;
  Open({config});
  exporter->Start();
  Push(Body(2000, 300));
  EXPECT_TRUE(ledger.WaitForSpans(2000));
  for (size_t bytes : ledger.requests()) EXPECT_LE(bytes, 64u << 10);
  EXPECT_TRUE(Settled());
  EXPECT_EQ(Books().in, 2000u);
}

TEST_P(OtlpExporterTest, RefusalsInTurnsLoseNothingButWhatIsRefusedForGood) {
  Open({Config()});
  ledger.Script({Refusal(503, RpcCode::kUnavailable),
                 Refusal(429, RpcCode::kResourceExhausted, "slow", 10ms),
                 Refusal(502, RpcCode::kAborted), Refusal(504, RpcCode::kDeadlineExceeded)});
  exporter->Start();
  Push(Body(10));
  EXPECT_TRUE(ledger.WaitForSpans(10));
  EXPECT_TRUE(Settled());
  EXPECT_EQ(ledger.requests().size(), 5u);
  EXPECT_EQ(Books().out, 10u);

  ledger.Script({Refusal(400, RpcCode::kInvalidArgument, "bad bytes")});
  Push(Body(4));
  EXPECT_TRUE(Settled());
  EXPECT_EQ(Dropped(DropReason::kRejected), 4u);
  EXPECT_THAT(Books().last_drop, testing::HasSubstr("bad bytes"));
  EXPECT_EQ(Books().out, 10u);
}

TEST_P(OtlpExporterTest, PartialSuccessIsCountedAndNotSentAgain) {
  Open({Config()});
  Says says;
  says.partial = {3, "three were too old"};
  ledger.Script({says});
  exporter->Start();
  Push(Body(10));
  EXPECT_TRUE(ledger.WaitForRequests(1));
  EXPECT_TRUE(Settled());
  EXPECT_EQ(Dropped(DropReason::kPartial), 3u);
  EXPECT_EQ(Books().out, 7u);
  EXPECT_EQ(ledger.requests().size(), 1u);
}

TEST_P(OtlpExporterTest, TooLargeIsHalvedUntilItFitsAndOneSpanAloneIsDropped) {
  ledger.judge = [](std::string_view body) -> std::optional<Says> {
    if (body.size() > 4000)
      return Refusal(413, RpcCode::kResourceExhausted, "received message larger than max");
    return std::nullopt;
  };
  Open({Config()});
  exporter->Start();
  Push(Body(100, 300));
  EXPECT_TRUE(ledger.WaitForSpans(100));
  EXPECT_TRUE(Settled());
  EXPECT_EQ(Books().out, 100u);
  Push(Body(1, 10'000));
  EXPECT_TRUE(Settled());
  EXPECT_EQ(Dropped(DropReason::kTooLarge), 1u);
}

TEST_P(OtlpExporterTest, OnePushersBytesDoNotTakeThoseOfOthersWithThem) {
  ledger.judge = [](std::string_view body) -> std::optional<Says> {
    if (body.find("poison") != std::string_view::npos)
      return Refusal(400, RpcCode::kInvalidArgument, "poison");
    return std::nullopt;
  };
  Open({Config()});
  for (int i = 0; i < 20; ++i) Push(Body(2));
  test::ExportTraceServiceRequest poison;
  ASSERT_TRUE(poison.ParseFromString(Body(3)));
  poison.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans(0)->set_name("poison");
  Push(poison.SerializeAsString());
  exporter->Start();
  EXPECT_TRUE(ledger.WaitForSpans(40));
  EXPECT_TRUE(Settled());
  EXPECT_EQ(Books().out, 40u);
  EXPECT_EQ(Dropped(DropReason::kRejected), 3u);
}

TEST_P(OtlpExporterTest, WhatIsSpooledSurvivesARestartWhileTheBackendIsAway) {
  auto away = Config();
  away.endpoint = http ? "http://127.0.0.1:1" : "127.0.0.1:1";
  Open({away});
  exporter->Start();
  for (int i = 0; i < 10; ++i) Push(Body(5));
  EXPECT_EQ(Books().queued(), 50);
  exporter.reset();

  BalanceBook fresh;
  spool::SpoolOptions options;
  options.directory = directory;
  auto again = OtlpExporter::Open({Config()}, OtlpExporterDeps{runtime, telemetry, fresh, options});
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_EQ(fresh.Open("exporters.otlp", "backend", "spans")->in(), 50u);
  (*again)->Start();
  EXPECT_TRUE(ledger.WaitForSpans(50));
  (*again)->Stop(5s);
  EXPECT_EQ(fresh.Open("exporters.otlp", "backend", "spans")->out(), 50u);
}

TEST_P(OtlpExporterTest, TwoBackendsShareTheSpoolAndOneDownDoesNotHoldTheOther) {
  auto away = Config();
  away.name = "away";
  away.endpoint = http ? "http://127.0.0.1:1" : "127.0.0.1:1";
  Open({Config(), away});
  exporter->Start();
  for (int i = 0; i < 20; ++i) Push(Body(5));
  EXPECT_TRUE(ledger.WaitForSpans(100));
  EXPECT_TRUE(Settled());
  EXPECT_EQ(Books("away").queued(), 100);
  EXPECT_EQ(Books("away").out, 0u);
}

TEST_P(OtlpExporterTest, HeadersTenantAndTokenGoWithEveryRequest) {
  auto config = Config();
  config.tenant = "dev";
  config.headers["X-Extra"] = Secret("yes");
  config.http.bearer_token = Secret("s3cret");
  config.compression = Compression::kGzip;
  Open({config});
  exporter->Start();
  Push(Body(200));
  EXPECT_TRUE(ledger.WaitForSpans(200)) << "a compressed request arrives whole";
  std::map<std::string, std::string> lower;
  for (const auto& [name, value] : ledger.headers) {
    std::string key = name;
    for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    lower[key] = value;
  }
  EXPECT_EQ(lower["x-scope-orgid"], "dev");
  EXPECT_EQ(lower["x-extra"], "yes");
  EXPECT_EQ(lower["authorization"], "Bearer s3cret");
}

TEST_P(OtlpExporterTest, StopSendsWhatWaitsWithinItsTime) {
  auto config = Config();
  config.batch.max_wait = 100ms;
  Open({config});
  exporter->Start();
  for (int i = 0; i < 30; ++i) Push(Body(3));
  exporter->Stop(10s);
  EXPECT_EQ(ledger.spans().size(), 90u);
  EXPECT_EQ(Books().queued(), 0);
}

TEST_P(OtlpExporterTest, AnEndpointThatCannotBeIsAnErrorThatNamesIt) {
  auto config = Config();
  config.endpoint = "ftp://x";
  spool::SpoolOptions options;
  auto opened =
      OtlpExporter::Open({config}, OtlpExporterDeps{runtime, telemetry, balances, options});
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().ToString(), testing::HasSubstr("ftp://x"));
}

INSTANTIATE_TEST_SUITE_P(Transports, OtlpExporterTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "Grpc" : "Http"; });

}  // namespace
}  // namespace picket::exporters::otlp
