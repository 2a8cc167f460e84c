// SPDX-License-Identifier: Apache-2.0
// A collector on ephemeral ports, sinks that do as they are told, and pushers over both transports.
#pragma once
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "collectors/otlp/otlp.h"
#include "core/budget/budget.h"
#include "core/net/http_client.h"
#include "core/net/runtime.h"
#include "core/proto/otlp_traces.h"
#include "core/proto/rpc_status.h"
#include "tests/core/proto/otlp_random.h"

namespace picket::collectors::otlp {

using namespace std::chrono_literals;

/// Keeps every sample by series text, and checks the contract of rows.
class RecordingIntake final : public MetricIntake {
 public:
  struct Sample {
    UnixMs at;
    double value;
  };
  SourceId OpenSource(std::string) override { return 7; }
  void CloseSource(SourceId) override { closed = true; }
  Result<SeriesId> Intern(SourceId, const Labels& labels,
                          std::shared_ptr<const MetricMetadata>) override {
    const std::string text = labels.ToString();
    if (refuse && !ids.contains(text)) return Fail(ErrorKind::kOverloaded, "no room");
    const auto [it, fresh] = ids.try_emplace(text, static_cast<SeriesId>(names.size()));
    if (fresh) names.push_back(text);
    EXPECT_TRUE(held.insert(it->second).second) << "interned twice: " << text;
    return it->second;
  }
  void Release(SourceId, SeriesId id) override {
    EXPECT_EQ(held.erase(id), 1u) << names[id];
    released = true;  // the number may mean another series from now on
  }
  void Append(const SampleRow& row) override {
    EXPECT_NE(row.layout, 0u);
    EXPECT_GT(row.timestamp_ms, last_ms) << "rows of a source ascend";
    last_ms = row.timestamp_ms;
    const std::vector<SeriesId> series(row.series.begin(), row.series.end());
    const auto [it, fresh] = layouts.try_emplace(row.layout, series);
    EXPECT_EQ(it->second, series) << "one layout, two lists of series";
    (void)fresh;
    const bool same = series == last_series && !released;
    EXPECT_TRUE(!same || row.layout == last_layout) << "two layouts, one list of series";
    last_series = series;
    last_layout = row.layout;
    released = false;
    ASSERT_EQ(row.series.size(), row.values.size());
    EXPECT_EQ(std::set<SeriesId>(series.begin(), series.end()).size(), series.size());
    for (size_t i = 0; i < series.size(); ++i) {
      EXPECT_TRUE(held.contains(series[i]));
      samples[names[series[i]]].push_back({row.timestamp_ms, row.values[i]});
    }
    ++rows;
  }
  void AppendTimed(SourceId, std::span<const TimedSample>) override { ADD_FAILURE(); }

  double Last(const std::string& series) const {
    const auto it = samples.find(series);
    return it == samples.end() ? -1 : it->second.back().value;
  }

  bool refuse = false, closed = false, released = false;
  std::vector<SeriesId> last_series;
  uint64_t last_layout = 0;
  size_t rows = 0;
  UnixMs last_ms = 0;
  std::map<std::string, SeriesId> ids;
  std::vector<std::string> names;
  std::set<SeriesId> held;
  std::map<uint64_t, std::vector<SeriesId>> layouts;
  std::map<std::string, std::vector<Sample>> samples;
};

class RecordingSink final : public SpanSink {
 public:
  Admission OnSpans(const SpanSlab& slab) override {
    std::lock_guard lock(mutex);
    if (answer.verdict == Admission::Verdict::kAccepted) {
      bodies.emplace_back(*slab.bytes);
      spans += slab.spans;
    }
    ++offered;
    return answer;
  }
  std::mutex mutex;
  Admission answer;
  std::vector<std::string> bodies;
  uint64_t spans = 0;
  int offered = 0;
};

/// What a pusher saw, whatever the transport.
struct Answer {
  int status = 0;  ///< HTTP status or gRPC code
  net::HttpHeaders headers;
  std::string body;
  std::string message;
  proto::RpcStatus rpc;  ///< from the body or the details
};

class OtlpTest : public testing::Test {
 protected:
  ~OtlpTest() override {
    collector.reset();
    runtime.Stop();
  }
  void StartCollector(OtlpConfig config = {}, Budget* limited_by = nullptr) {
    config.grpc = config.grpc.empty() ? "" : "127.0.0.1:0";
    config.http = config.http.empty() ? "" : "127.0.0.1:0";
    collector = std::make_unique<OtlpCollector>(
        config, OtlpDeps{runtime, intake, telemetry, balances, limited_by, clock});
    collector->SetSinks({sink});
    const auto started = collector->Start();
    ASSERT_TRUE(started) << started.error().ToString();
  }
  std::string Url(std::string_view path = "/v1/traces") const {
    return "http://127.0.0.1:" + std::to_string(collector->http_port()) + std::string(path);
  }
  Answer Http(std::string body,
              net::HttpHeaders headers = {{"Content-Type", "application/x-protobuf"}},
              std::string path = "/v1/traces", std::string method = "POST") {
    net::HttpClient client(runtime, {});
    net::HttpRequest request;
    request.method = std::move(method);
    request.url = Url(path);
    request.headers = std::move(headers);
    request.accept_gzip = false;
    if (!body.empty()) request.body.push_back(body);
    const auto response = client.FetchBlocking(std::move(request));
    Answer answer;
    if (!response) {
      answer.message = response.error().ToString();
      return answer;
    }
    answer.status = response->status;
    answer.headers = response->headers;
    answer.body = std::string(response->body);
    if (auto rpc = proto::DecodeRpcStatus(answer.body)) answer.rpc = *rpc;
    return answer;
  }
  Answer Grpc(const std::string& body, std::string method = std::string(proto::kTraceExportMethod),
              std::function<void(grpc::ClientContext&)> prepare = {}) {
    grpc::ChannelArguments args;
    args.SetMaxReceiveMessageSize(-1);
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    grpc::GenericStub stub(
        grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(collector->grpc_port()),
                                  grpc::InsecureChannelCredentials(), args));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 20s);
    if (prepare) prepare(context);
    const grpc::Slice slice(body);
    grpc::CompletionQueue queue;
    grpc::ByteBuffer response;
    grpc::Status status;
    auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    Answer answer;
    answer.status = status.error_code();
    answer.message = status.error_message();
    if (auto rpc = proto::DecodeRpcStatus(status.error_details())) answer.rpc = *rpc;
    std::vector<grpc::Slice> slices;
    if (response.Valid() && response.Dump(&slices).ok())
      for (const auto& s : slices)
        answer.body.append(reinterpret_cast<const char*>(s.begin()), s.size());
    return answer;
  }
  static std::string Body(int spans, uint64_t seed = 1) {
    test::RandomTraces random(seed);
    test::ExportTraceServiceRequest request;
    auto& resource = *request.add_resource_spans();
    test::RandomTraces::Pair(*resource.mutable_resource()->add_attributes(), "service.name",
                             "shop");
    auto& scope = *resource.add_scope_spans();
    for (int i = 0; i < spans; ++i) random.FillSpan(*scope.add_spans());
    return request.SerializeAsString();
  }
  Balance::Snapshot Books() { return balances.Open("collectors.otlp", "traces", "spans")->Read(); }

  net::Runtime runtime{2};
  RecordingIntake intake;
  Telemetry telemetry;
  BalanceBook balances;
  ManualClock clock;
  Budget budget{1_MiB};  // outlives every lease of the collector
  std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
  std::unique_ptr<OtlpCollector> collector;
};

}  // namespace picket::collectors::otlp
