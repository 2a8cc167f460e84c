// SPDX-License-Identifier: Apache-2.0
// What one scrape costs before anything is parsed: a 92 kB GET of 1,000 lines over a kept
// connection, on loopback. The time is user plus system time of the client's thread alone; the
// server's is a counter beside it.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <boost/asio.hpp>
#include <cstring>
#include <future>
#include <memory>
#include <string>

#include "core/net/gzip.h"
#include "core/net/http_client.h"
#include "core/net/http_server.h"

namespace picket::net {
namespace {

constexpr int kLines = 1000;
constexpr int kRequests = 200;

std::string Body() {
  std::string out;
  for (int i = 0; i < kLines; ++i) {
    std::string line = "http_requests_total{handler=\"/api/v1/items\",instance=\"" +
                       std::to_string(i) + "\",code=\"200\"} ";
    line += std::to_string(i * 7919);
    line.resize(91, '0');
    out += line + '\n';
  }
  return out;
}

double ThreadSeconds() {
  rusage r{};
  getrusage(RUSAGE_THREAD, &r);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(r.ru_utime) + seconds(r.ru_stime);
}

double SecondsOf(Runtime& runtime) {
  std::promise<double> out;
  runtime.Post(runtime.At(0), [&] { out.set_value(ThreadSeconds()); });
  return out.get_future().get();
}

enum class Shape : int64_t { kSized, kChunked, kGzip };

asio::awaitable<HttpReply> Serve(std::shared_ptr<const std::string> body, Shape shape) {
  HttpReply reply;
  reply.headers.Add("Content-Type", "text/plain; version=0.0.4");
  if (shape == Shape::kGzip) reply.headers.Add("Content-Encoding", "gzip");
  if (shape != Shape::kChunked) {
    reply.shared_body = std::move(body);
    co_return reply;
  }
  auto at = std::make_shared<size_t>(0);
  reply.stream = [body, at]() -> asio::awaitable<std::string> {
    const size_t n = std::min<size_t>(4096, body->size() - *at);
    std::string piece = body->substr(*at, n);
    *at += n;
    co_return piece;
  };
  co_return reply;
}

asio::awaitable<size_t> Scrape(HttpClient& client, std::string url, bool gzip, BodyBuffer& kept,
                               bool look) {
  size_t lines = 0;
  for (int i = 0; i < kRequests; ++i) {
    HttpRequest request;
    request.url = url;
    request.into = &kept;
    request.accept_gzip = gzip;
    const auto response = co_await client.Fetch(std::move(request));
    if (!response || response->status != 200) co_return 0;
    if (!look) {
      lines += kLines;
      continue;
    }
    const char* p = response->body.data();
    const char* const end = p + response->body.size();
    while ((p = static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)))) !=
           nullptr)
      ++p, ++lines;
  }
  co_return lines;
}

void BM_Get92kB(benchmark::State& state) {
  const Shape shape = static_cast<Shape>(state.range(0));
  const bool look = state.range(1) != 0;
  auto body =
      std::make_shared<const std::string>(shape == Shape::kGzip ? GzipEncode(Body()) : Body());
  Runtime server_runtime(1), client_runtime(1);
  HttpServer server(server_runtime, {});
  server.Get("/metrics", [body, shape](HttpServerRequest) { return Serve(body, shape); });
  if (!server.Start()) return state.SkipWithError("no server");
  HttpClient client(client_runtime, {});
  BodyBuffer kept;
  const std::string url = "http://" + server.address() + "/metrics";
  double server_seconds = 0;
  for (auto _ : state) {
    const double before = SecondsOf(client_runtime), server_before = SecondsOf(server_runtime);
    auto done =
        asio::co_spawn(client_runtime.At(0), Scrape(client, url, shape == Shape::kGzip, kept, look),
                       asio::use_future);
    if (done.get() != static_cast<size_t>(kRequests) * kLines)
      return state.SkipWithError("wrong answer");
    state.SetIterationTime(SecondsOf(client_runtime) - before);
    server_seconds += SecondsOf(server_runtime) - server_before;
  }
  const double requests = static_cast<double>(state.iterations()) * kRequests;
  state.counters["client_us_per_line"] = benchmark::Counter(
      requests * kLines * 1e-6, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["server_us_per_request"] = server_seconds * 1e6 / requests;
}
BENCHMARK(BM_Get92kB)
    ->ArgNames({"shape", "lines_looked_at"})
    ->Args({static_cast<int64_t>(Shape::kSized), 0})
    ->Args({static_cast<int64_t>(Shape::kSized), 1})
    ->Args({static_cast<int64_t>(Shape::kChunked), 0})
    ->Args({static_cast<int64_t>(Shape::kGzip), 0})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace picket::net

BENCHMARK_MAIN();
