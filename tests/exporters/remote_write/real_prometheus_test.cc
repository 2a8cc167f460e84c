// SPDX-License-Identifier: Apache-2.0
// Real Prometheus servers take what is sent and give it back value by value.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <limits>

#include "core/base/strings.h"
#include "core/net/http_client.h"
#include "exporters/remote_write/remote_write.h"
#include "tests/core/spool/faults.h"

namespace picket::exporters::remote_write {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

std::string PeersBin() {
  const char* peers = std::getenv("PICKET_PEERS");
  const char* home = std::getenv("HOME");
  return (peers != nullptr ? std::string(peers)
                           : std::string(home != nullptr ? home : "") + "/.cache/picket/peers") +
         "/bin/";
}

uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

/// One server with an empty store, gone with the object.
class Server {
 public:
  explicit Server(const std::string& binary) : port_(FreePort()) {
    spool::testing::WriteFile(dir_.path() + "/prometheus.yml", "global: {scrape_interval: 1h}\n");
    std::vector<std::string> args = {binary,
                                     "--config.file=" + dir_.path() + "/prometheus.yml",
                                     "--storage.tsdb.path=" + dir_.path() + "/data",
                                     fmt::format("--web.listen-address=127.0.0.1:{}", port_),
                                     "--web.enable-remote-write-receiver",
                                     "--log.level=error"};
    std::vector<char*> argv;
    for (auto& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
  }
  ~Server() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string url(std::string_view path) const {
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
  }

 private:
  spool::testing::TempDir dir_;
  uint16_t port_;
  pid_t pid_ = 0;
};

struct Peer {
  const char* label;
  std::string binary;
  Protocol protocol;
};
void PrintTo(const Peer& peer, std::ostream* out) { *out << peer.label; }

class RealPrometheus : public ::testing::TestWithParam<Peer> {
 protected:
  std::string Get(const std::string& url) {
    net::HttpRequest request;
    request.url = url;
    request.timeout = 2s;
    auto response = client_.FetchBlocking(std::move(request));
    return response && response->ok() ? std::string(response->body) : "";
  }
  std::string Query(const Server& server, std::string_view query, UnixMs at) {
    std::string encoded;
    for (const char c : query) encoded += fmt::format("%{:02x}", static_cast<uint8_t>(c));
    return Get(server.url(fmt::format("/api/v1/query?query={}&time={}", encoded, Seconds(at))));
  }
  static std::string Seconds(UnixMs ms) {
    return ms % 1000 == 0 ? fmt::format("{}", ms / 1000)
                          : fmt::format("{}.{:03d}", ms / 1000, ms % 1000);
  }
  net::Runtime runtime_{2};
  net::HttpClient client_{runtime_, {}};
};

INSTANTIATE_TEST_SUITE_P(
    Peers, RealPrometheus,
    ::testing::Values(Peer{"v315_v1", PeersBin() + "prometheus", Protocol::kV1},
                      Peer{"v315_v2", PeersBin() + "prometheus", Protocol::kV2},
                      Peer{"v315_auto", PeersBin() + "prometheus", Protocol::kAuto},
                      Peer{"debian_v1", "/usr/bin/prometheus", Protocol::kV1},
                      Peer{"debian_auto", "/usr/bin/prometheus", Protocol::kAuto}),
    [](const auto& p) { return p.param.label; });

TEST_P(RealPrometheus, GivesBackWhatWasSent) {
  if (::access(GetParam().binary.c_str(), X_OK) != 0)
    GTEST_SKIP() << GetParam().binary << " is not there";
  const Server server(GetParam().binary);
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  while (Get(server.url("/-/ready")).empty()) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "the server did not come up";
    ::usleep(50'000);
  }

  const spool::testing::TempDir dir;
  BalanceBook balances;
  RemoteWriteConfig config;
  config.url = server.url("/api/v1/write");
  config.protobuf_message = GetParam().protocol;
  config.queue_config.max_samples_per_send = 40;
  RemoteWriteContext context;
  context.runtime = &runtime_;
  context.balances = &balances;
  context.spool.directory = dir.path();
  context.external_labels = Labels{{"agent", "picket"}};
  auto made = RemoteWrite::Make(config, context);
  ASSERT_TRUE(made) << made.error().ToString();
  RemoteWrite& destination = **made;

  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> special = {0,      -1.5,
                                       0.1,    inf,
                                       -inf,   std::nan(""),
                                       5e-324, 1.7976931348623157e308,
                                       1e-9,   123456789012345680};
  constexpr SeriesId kSeries = 30;
  auto metadata =
      std::make_shared<MetricMetadata>(MetricMetadata{MetricType::kGauge, "m", "What m is.", ""});
  std::vector<SeriesId> ids;
  for (SeriesId i = 0; i < kSeries; ++i) {
    destination.OnSeries(
        i, Labels{{"__name__", "m"}, {"i", std::to_string(i)}, {"text", "\xc3\xa9\"\\ \n"}},
        metadata);
    ids.push_back(i);
  }
  destination.Start();
  const UnixMs start = SystemClock::Get().NowMs() - 60'000;
  constexpr int kRows = 10;
  const auto value = [&](SeriesId i, int k) {
    return special[(i + static_cast<size_t>(k)) % special.size()];
  };
  for (int k = 0; k < kRows; ++k) {
    std::vector<double> values;
    for (const SeriesId i : ids) values.push_back(value(i, k));
    destination.OnRow({1, 1, start + k * 1001, ids, values});
  }
  // Then one series ends, and a small source comes by way of a batch.
  std::vector<double> last(kSeries, 42);
  last[3] = StaleNan();
  destination.OnRow({1, 1, start + kRows * 1001, ids, last});
  destination.OnSeries(100, Labels{{"__name__", "small"}}, nullptr);
  destination.OnTimed(2, std::vector<TimedSample>{{100, start + 1, 7}, {100, start + 2, 8}});

  std::promise<void> stopped;
  runtime_.Spawn(runtime_.At(0), "stop",
                 [](RemoteWrite* w, std::promise<void>* end) -> asio::awaitable<void> {
                   co_await w->Stop(30s);
                   end->set_value();
                 }(&destination, &stopped));
  stopped.get_future().wait();
  const auto balance = balances.Read().at(0);
  ASSERT_EQ(balance.out, kSeries * (kRows + 1) + 2U)
      << destination.Read().sender.last_error << balance.last_drop;
  ASSERT_EQ(balance.queued(), 0);

  const UnixMs end = start + kRows * 1001;
  for (const SeriesId i : ids) {
    std::string expected = "\"values\":[";
    for (int k = 0; k < kRows; ++k)
      expected +=
          fmt::format("[{},{}],", Seconds(start + k * 1001), JsonQuote(FormatFloat(value(i, k))));
    if (i != 3) expected += fmt::format("[{},\"42\"],", Seconds(end));
    expected.back() = ']';
    const auto answer = Query(server, fmt::format("m{{i=\"{}\",agent=\"picket\"}}[5m]", i), end);
    ASSERT_NE(answer.find(expected), answer.npos) << "wanted " << expected << "\ngot " << answer;
    ASSERT_NE(answer.find("\"text\":\"\xc3\xa9\\\"\\\\ \\n\""), answer.npos) << answer;
  }
  EXPECT_NE(Query(server, "count(m)", end).find("\"29\""), std::string::npos)
      << "the one with the marker has ended";
  EXPECT_NE(Query(server, "small[5m]", end).find("\"8\""), std::string::npos);
}

}  // namespace
}  // namespace picket::exporters::remote_write
