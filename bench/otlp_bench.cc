// SPDX-License-Identifier: Apache-2.0
// What a span costs: the scans and cuts in nanoseconds, and the way through the agent in CPU time
// (user + system). The pushers and the backend of the end-to-end figures are other processes (this
// program again), so that the CPU and memory counted are the agent's alone.
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "collectors/otlp/json.h"
#include "collectors/otlp/otlp.h"
#include "collectors/otlp/span_metrics.h"
#include "core/proto/otlp_traces.h"
#include "exporters/otlp/exporter.h"

namespace picket {
namespace {

using proto::Writer;

constexpr int kSpans = 1000;

/// Requests like those of the published rigs: one resource, 13 attributes and about 500 bytes a
/// span.
std::string Body(int spans = kSpans, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  const auto id = [&](size_t n) {
    std::string out(n, '\0');
    for (char& c : out) c = static_cast<char>(random() | 1);
    return out;
  };
  const auto pair = [](Writer& w, uint32_t field, std::string_view key, std::string_view value) {
    const auto kv = w.Begin(field);
    w.PutBytes(1, key);
    const auto any = w.Begin(2);
    w.PutBytes(1, value);
    w.End(any);
    w.End(kv);
  };
  static constexpr const char* kRoutes[] = {"GET /cart", "POST /checkout", "GET /product/{id}",
                                            "query"};
  std::string body;
  Writer w(body);
  const auto resource_spans = w.Begin(1, 3);
  const auto resource = w.Begin(1, 2);
  for (const char* key :
       {"service.name", "service.version", "k8s.pod.name", "k8s.namespace.name", "host.name"})
    pair(w, 1, key, "shop-6d5f9c7b4-x2x9k");
  w.End(resource);
  const auto scope = w.Begin(2, 3);
  for (int i = 0; i < spans; ++i) {
    const auto span = w.Begin(2, 2);
    w.PutBytes(1, id(16));
    w.PutBytes(2, id(8));
    w.PutBytes(4, id(8));
    w.PutBytes(5, kRoutes[random() % 4]);
    w.PutVarint(6, 1 + random() % 5);
    w.PutFixed64(7, 1'700'000'000'000'000'000);
    w.PutFixed64(8, 1'700'000'000'000'000'000 + random() % 1'000'000'000);
    for (const char* key : {"http.method", "http.route", "http.status_code", "http.scheme",
                            "net.peer.name", "net.peer.port", "user.id", "order.id", "db.system",
                            "thread.id", "code.function", "customer.tier", "feature.flag"})
      pair(w, 9, key, "value-1234567");
    const auto status = w.Begin(15);
    w.PutVarint(3, random() % 10 == 0 ? 2 : 0);
    w.End(status);
    w.End(span);
  }
  w.End(scope);
  w.End(resource_spans);
  return body;
}

void PerSpan(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * kSpans);
  state.counters["per_span"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kSpans,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_Check(benchmark::State& state) {
  const std::string body = Body();
  for (auto _ : state) benchmark::DoNotOptimize(proto::CheckTraces(body));
  PerSpan(state);
}
BENCHMARK(BM_Check);

void BM_Scan(benchmark::State& state) {
  const std::string body = Body();
  proto::AttributePicker attributes(
      state.range(0) ? std::vector<std::string>{"http.method", "db.system", "absent"}
                     : std::vector<std::string>{});
  for (auto _ : state) {
    uint64_t sum = 0;
    proto::WalkTraces(
        body, [](std::string_view) {},
        [&](std::string_view bytes) {
          proto::SpanView span;
          attributes.Clear();
          proto::ReadSpan(bytes, span, attributes.empty() ? nullptr : &attributes);
          sum += span.end_ns + span.name.size() + span.status;
        });
    benchmark::DoNotOptimize(sum);
  }
  PerSpan(state);
}
BENCHMARK(BM_Scan)->ArgName("attributes")->Arg(0)->Arg(3);

void BM_Count(benchmark::State& state) {
  const std::string body = Body();
  for (auto _ : state) benchmark::DoNotOptimize(proto::CountSpans(body));
  PerSpan(state);
}
BENCHMARK(BM_Count);

void BM_Split(benchmark::State& state) {
  const std::string body = Body();
  for (auto _ : state) benchmark::DoNotOptimize(proto::SplitTraces(body, body.size() / 8 + 1000));
  PerSpan(state);
}
BENCHMARK(BM_Split);

void BM_Concat(benchmark::State& state) {
  const std::string body = Body(kSpans / 10);
  for (auto _ : state) {
    std::string joined;
    joined.reserve(body.size() * 10);
    for (int i = 0; i < 10; ++i) joined.append(body);
    benchmark::DoNotOptimize(joined);
  }
  PerSpan(state);
}
BENCHMARK(BM_Concat);

/// Counts ids only; the store is measured elsewhere.
class NullIntake final : public MetricIntake {
 public:
  SourceId OpenSource(std::string) override { return 1; }
  void CloseSource(SourceId) override {}
  Result<SeriesId> Intern(SourceId, const Labels&, std::shared_ptr<const MetricMetadata>) override {
    return next_++;
  }
  void Release(SourceId, SeriesId) override {}
  void Append(const SampleRow&) override {}
  void AppendTimed(SourceId, std::span<const TimedSample>) override {}

 private:
  SeriesId next_ = 0;
};

void BM_SpanMetrics(benchmark::State& state) {
  NullIntake intake;
  Telemetry telemetry;
  ManualClock clock;
  collectors::otlp::SpanMetricsConfig config;
  if (state.range(0)) config.dimensions = {"http.method", "db.system", "absent"};
  collectors::otlp::SpanMetrics metrics(config, intake, clock, telemetry);
  const SpanSlab slab{std::make_shared<const std::string>(Body()), kSpans};
  for (auto _ : state) (void)metrics.OnSpans(slab);
  PerSpan(state);
}
BENCHMARK(BM_SpanMetrics)->ArgName("dimensions")->Arg(0)->Arg(3);

// ---- end to end ----

int Connect(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) _exit(3);
  return fd;
}

/// One connection: `requests` requests, one after the other.
void PushHttp(int port, int requests) {
  const std::string body = Body();
  const std::string head =
      "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
      "application/x-protobuf\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n";
  const std::string request = head + body;
  const int fd = Connect(port);
  std::vector<char> answer(4096);
  for (int i = 0; i < requests; ++i) {
    for (size_t sent = 0; sent < request.size();) {
      const ssize_t n = ::send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) _exit(4);
      sent += static_cast<size_t>(n);
    }
    if (::recv(fd, answer.data(), answer.size(), 0) < 12 ||
        std::memcmp(answer.data() + 9, "200", 3) != 0)
      _exit(5);
  }
  ::close(fd);
}

void PushGrpc(int port, int requests) {
  const std::string body = Body();
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  grpc::GenericStub stub(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                                   grpc::InsecureChannelCredentials(), args));
  const grpc::Slice slice(body.data(), body.size(), grpc::Slice::STATIC_SLICE);
  grpc::CompletionQueue queue;
  for (int i = 0; i < requests; ++i) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    grpc::ByteBuffer response;
    grpc::Status status;
    auto call = stub.PrepareUnaryCall(&context, std::string(proto::kTraceExportMethod),
                                      grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (!status.ok()) _exit(6);
  }
}

/// A backend that reads and says yes. Prints its port.
[[noreturn]] void SinkHttp() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ::bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at);
  ::listen(listener, 64);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
  std::printf("%d\n", ntohs(at.sin_port));
  std::fflush(stdout);
  for (;;) {
    const int fd = ::accept(listener, nullptr, nullptr);
    std::thread([fd] {
      std::vector<char> chunk(1 << 20);
      std::string head;
      for (;;) {
        size_t end = std::string::npos;
        while ((end = head.find("\r\n\r\n")) == std::string::npos) {
          const ssize_t n = ::recv(fd, chunk.data(), chunk.size(), 0);
          if (n <= 0) return;
          head.append(chunk.data(), static_cast<size_t>(n));
        }
        const size_t at_length = head.find("Content-Length: ");
        size_t left = std::strtoul(head.c_str() + at_length + 16, nullptr, 10);
        const size_t have = head.size() - end - 4;
        left -= std::min(left, have);
        while (left > 0) {
          const ssize_t n = ::recv(fd, chunk.data(), std::min(left, chunk.size()), 0);
          if (n <= 0) return;
          left -= static_cast<size_t>(n);
        }
        head.clear();
        static constexpr char kYes[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        ::send(fd, kYes, sizeof kYes - 1, MSG_NOSIGNAL);
      }
    }).detach();
  }
}

/// This program again, as a pusher or a backend.
pid_t Spawn(std::vector<std::string> args, int* out = nullptr) {
  int pipe_fds[2] = {-1, -1};
  if (out && ::pipe(pipe_fds) != 0) std::abort();
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (out) ::dup2(pipe_fds[1], 1);
    std::vector<char*> argv{const_cast<char*>("otlp_bench")};
    for (auto& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    ::execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  if (out) {
    ::close(pipe_fds[1]);
    *out = pipe_fds[0];
  }
  return pid;
}

double CpuSeconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

double RssMb(const char* key) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key))
      return std::strtod(line.c_str() + std::strlen(key) + 1, nullptr) / 1024;
  return 0;
}

struct Agent {
  explicit Agent(const std::string& backend, bool span_metrics, bool disk) {
    collectors::otlp::OtlpConfig in;
    in.grpc = in.http = "127.0.0.1:0";
    in.span_metrics.enabled = span_metrics;
    collector = std::make_unique<collectors::otlp::OtlpCollector>(
        in, collectors::otlp::OtlpDeps{runtime, intake, telemetry, balances});
    if (!backend.empty()) {
      exporters::otlp::OtlpExporterConfig out;
      out.endpoint = backend;
      out.name = "bench";
      spool::SpoolOptions options;
      if (disk)
        options.directory = directory =
            std::filesystem::temp_directory_path() / "picket-otlp-bench";
      exporter = *exporters::otlp::OtlpExporter::Open(
          {out}, exporters::otlp::OtlpExporterDeps{runtime, telemetry, balances, options});
      exporter->Start();
      collector->SetSinks({exporter});
    }
    if (auto started = collector->Start(); !started) std::abort();
  }
  ~Agent() {
    collector->Stop(Duration(0));
    exporter.reset();
    collector.reset();
    runtime.Stop();
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }
  uint64_t Queued() {
    return exporter ? static_cast<uint64_t>(
                          balances.Open("exporters.otlp", "bench", "spans")->Read().queued())
                    : 0;
  }

  net::Runtime runtime{2};
  NullIntake intake;
  Telemetry telemetry;
  BalanceBook balances;
  std::string directory;
  std::unique_ptr<collectors::otlp::OtlpCollector> collector;
  std::shared_ptr<exporters::otlp::OtlpExporter> exporter;
};

/// CPU per span of 4 pushers with `requests` requests each, through to the backend's yes.
void EndToEnd(benchmark::State& state, const char* push, bool forward, bool span_metrics,
              bool disk) {
  int out = -1;
  pid_t backend = 0;
  std::string endpoint;
  if (forward) {
    backend = Spawn({"--sink-http"}, &out);
    char port[16] = {};
    if (::read(out, port, sizeof port - 1) <= 0) std::abort();
    endpoint = "http://127.0.0.1:" + std::to_string(std::atoi(port));
  }
  {
    Agent agent(endpoint, span_metrics, disk);
    const int port = std::strcmp(push, "--push-http") == 0 ? agent.collector->http_port()
                                                           : agent.collector->grpc_port();
    constexpr int kPushers = 4, kRequests = 500;
    double cpu = 0;
    uint64_t spans = 0;
    for (auto _ : state) {
      const double before = CpuSeconds();
      std::vector<pid_t> pushers;
      for (int i = 0; i < kPushers; ++i)
        pushers.push_back(Spawn({push, std::to_string(port), std::to_string(kRequests)}));
      for (pid_t pid : pushers) {
        int status = 0;
        ::waitpid(pid, &status, 0);
        if (status != 0) state.SkipWithError("a pusher failed");
      }
      while (agent.Queued() > 0) ::usleep(1000);
      const double used = CpuSeconds() - before;
      state.SetIterationTime(used);
      cpu += used;
      spans += uint64_t{kPushers} * kRequests * kSpans;
    }
    state.counters["us/span"] = cpu * 1e6 / static_cast<double>(spans);
    state.counters["RSS_MB"] = RssMb("VmRSS:");
    state.counters["peak_MB"] = RssMb("VmHWM:");
  }
  if (backend > 0) {
    ::kill(backend, SIGKILL);
    ::waitpid(backend, nullptr, 0);
    ::close(out);
  }
}

void BM_HttpThrough(benchmark::State& state) {
  EndToEnd(state, "--push-http", true, false, state.range(0));
}
void BM_HttpThroughSpanMetrics(benchmark::State& state) {
  EndToEnd(state, "--push-http", true, true, state.range(0));
}
void BM_GrpcIn(benchmark::State& state) { EndToEnd(state, "--push-grpc", false, false, false); }
void BM_GrpcThrough(benchmark::State& state) {
  EndToEnd(state, "--push-grpc", true, false, state.range(0));
}
BENCHMARK(BM_HttpThrough)
    ->ArgName("disk")
    ->Arg(1)
    ->Arg(0)
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_HttpThroughSpanMetrics)
    ->ArgName("disk")
    ->Arg(1)
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_GrpcIn)->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_GrpcThrough)
    ->ArgName("disk")
    ->Arg(1)
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace picket

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--sink-http") == 0) picket::SinkHttp();
  if (argc > 3 && std::strcmp(argv[1], "--push-http") == 0)
    return picket::PushHttp(std::atoi(argv[2]), std::atoi(argv[3])), 0;
  if (argc > 3 && std::strcmp(argv[1], "--push-grpc") == 0)
    return picket::PushGrpc(std::atoi(argv[2]), std::atoi(argv[3])), 0;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
