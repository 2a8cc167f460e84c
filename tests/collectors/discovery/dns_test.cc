// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/dns/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/collectors/discovery/harness.h"

namespace picket::collectors::discovery {
namespace {

std::string Number(unsigned n) { return {static_cast<char>(n >> 8), static_cast<char>(n & 255)}; }
/// A name as DNS writes it: lengths and labels.
std::string Wire(std::string name) {
  std::string out;
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    out += static_cast<char>(dot) + name.substr(0, dot);
    name.erase(0, dot + 1);
  }
  return out + '\0';
}
struct Record {
  DnsType type;
  std::string data;
};
Record Srv(unsigned port, const std::string& host) {
  return {DnsType::kSrv, Number(10) + Number(20) + Number(port) + Wire(host)};
}
Record A(const std::string& address) {
  std::string data(4, '\0');
  inet_pton(AF_INET, address.c_str(), data.data());
  return {DnsType::kA, data};
}
Record Aaaa(const std::string& address) {
  std::string data(16, '\0');
  inet_pton(AF_INET6, address.c_str(), data.data());
  return {DnsType::kAaaa, data};
}
Record Alias(const std::string& to) { return {static_cast<DnsType>(5), Wire(to)}; }

/// A name server on loopback that knows what it is told; else a name does not exist.
class NameServer {
 public:
  static constexpr unsigned kServFail = 2, kNotThere = 3;
  NameServer() {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    socklen_t size = sizeof at;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~NameServer() {
    stop_ = true;
    thread_.join();
    ::close(socket_);
  }
  void Say(const std::string& name, std::vector<Record> records, unsigned code = 0) {
    std::lock_guard lock(mutex_);
    known_[Wire(name)] = {code, std::move(records)};
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  /// Names in the order they were asked for.
  Names asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void Serve() {
    while (!stop_) {
      pollfd wait{socket_, POLLIN, 0};
      if (::poll(&wait, 1, 20) <= 0) continue;
      char bytes[1500];
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t n =
          ::recvfrom(socket_, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 17) continue;
      const std::string answer = Answer(std::string(bytes, static_cast<size_t>(n)));
      ::sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  std::string Answer(const std::string& query) {
    const std::string name = query.substr(12, query.find('\0', 12) - 12 + 1);
    std::lock_guard lock(mutex_);
    std::string shown;
    for (size_t i = 0; name[i] != 0; i += static_cast<size_t>(name[i]) + 1)
      shown += name.substr(i + 1, static_cast<size_t>(name[i])) + ".";
    asked_.push_back(shown);
    const auto it = known_.find(name);
    const auto& [code, records] = it == known_.end() ? nothing_ : it->second;
    std::string out = query.substr(0, 2) + Number(0x8180 | code) + Number(1) +
                      Number(static_cast<unsigned>(records.size())) + Number(0) + Number(0) + name +
                      query.substr(12 + name.size(), 4);
    std::string owner = name;  // what follows an alias belongs to what it leads to
    for (const Record& r : records) {
      out += owner + Number(static_cast<unsigned>(r.type)) + Number(1) + Number(0) + Number(60) +
             Number(static_cast<unsigned>(r.data.size())) + r.data;
      if (static_cast<unsigned>(r.type) == 5) owner = r.data;
    }
    return out;
  }

  int socket_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
  std::mutex mutex_;
  std::map<std::string, std::pair<unsigned, std::vector<Record>>> known_;
  const std::pair<unsigned, std::vector<Record>> nothing_{kNotThere, {}};
  Names asked_;
};

class DnsSd : public Remote {
 protected:
  using Remote::Watch;
  Discoverer& Ask(const std::string& yaml, std::vector<std::string> domains = {}) {
    auto config = config::FromYaml<DnsSdConfig>(yaml);
    EXPECT_TRUE(config) << config.error().ToString();
    return Watch(std::make_shared<DnsDiscoverer>(*config, Env(),
                                                 DnsServers{server.address(), std::move(domains)}));
  }
  NameServer server;
};

TEST_F(DnsSd, ServiceRecordsSayTheirPort) {
  server.Say("_shop._tcp.test", {Srv(9100, "a.test"), Srv(9200, "b.test")});
  Discoverer& d = Ask("{names: [_shop._tcp.test]}");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"a.test:9100", "b.test:9200"}; }));
  EXPECT_EQ(d.groups()[0].source, "_shop._tcp.test");
  EXPECT_EQ(d.groups()[0].targets[1], Labels({{"__address__", "b.test:9200"},
                                              {"__meta_dns_name", "_shop._tcp.test"},
                                              {"__meta_dns_srv_record_target", "b.test."},
                                              {"__meta_dns_srv_record_port", "9200"}}));
  EXPECT_EQ(Refreshes("dns", "ok"), 1);
}

TEST_F(DnsSd, AddressesGetThePort) {
  server.Say("a.test", {Alias("real.test"), A("10.0.0.1"), A("10.0.0.2")});
  Discoverer& d = Ask("{names: [a.test], type: a, port: 80}");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"10.0.0.1:80", "10.0.0.2:80"}; }));
  EXPECT_EQ(d.groups()[0].targets[0],
            Labels({{"__address__", "10.0.0.1:80"}, {"__meta_dns_name", "a.test"}}));
}

TEST_F(DnsSd, SixthVersionAddressesToo) {
  server.Say("a.test", {Aaaa("fc00::2")});
  Discoverer& d = Ask("{names: [a.test], type: AAAA, port: 80}");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"[fc00::2]:80"}; }));
}

TEST_F(DnsSd, MailAndNameServers) {
  server.Say("m.test", {{DnsType::kMx, Number(10) + Wire("mail.test")}});
  Discoverer& d = Ask("{names: [m.test], type: MX, port: 25}");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"mail.test:25"}; }));
  EXPECT_EQ(d.groups()[0].targets[0].Get("__meta_dns_mx_record_target"), "mail.test.");
}

TEST_F(DnsSd, NameServers) {
  server.Say("n.test", {{DnsType::kNs, Wire("ns1.test")}, {DnsType::kNs, Wire("ns2.test")}});
  Discoverer& d = Ask("{names: [n.test], type: NS, port: 53}");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"ns1.test:53", "ns2.test:53"}; }));
  EXPECT_EQ(d.groups()[0].targets[1].Get("__meta_dns_ns_record_target"), "ns2.test.");
}

TEST_F(DnsSd, TriesSearchDomainsAndNamesFailOneByOne) {
  server.Say("short.two.test", {A("10.0.0.3")});
  server.Say("broken.one.test", {}, NameServer::kServFail);
  Discoverer& d =
      Ask("{names: [short, broken, gone], type: A, port: 80}", {"one.test", "two.test"});
  ASSERT_TRUE(Until([&] { return d.groups().size() == 2 && !d.errors().empty(); }));
  EXPECT_EQ(Addresses(d), Names{"10.0.0.3:80"});
  EXPECT_EQ(d.groups()[0].source, "gone");  // it does not exist: an empty answer, no error
  ASSERT_EQ(d.errors().size(), 1u);
  EXPECT_NE(d.errors()[0].find("broken.one.test."), std::string::npos) << d.errors()[0];
  const Names asked = server.asked();
  EXPECT_EQ((Names{asked.begin(), asked.begin() + 2}),
            (Names{"short.one.test.", "short.two.test."}));
  EXPECT_EQ(Refreshes("dns", "failed"), 1);
}

TEST_F(DnsSd, AFailureKeepsTheTargets) {
  server.Say("a.test.", {A("10.0.0.1")});
  Discoverer& d = Ask("{names: [a.test.], type: A, port: 80, refresh_interval: 20ms}");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"10.0.0.1:80"}; }));
  server.Say("a.test.", {}, NameServer::kServFail);
  ASSERT_TRUE(Until([&] { return !d.errors().empty(); }));
  EXPECT_EQ(Addresses(d), Names{"10.0.0.1:80"});
  server.Say("a.test.", {});  // it exists and has no address
  ASSERT_TRUE(Until([&] { return Addresses(d).empty(); }));
  EXPECT_TRUE(d.errors().empty());
}

TEST(DnsNames, AreOrderedByTheirDots) {
  const std::vector<std::string> domains = {"x.test", "y.test."};
  EXPECT_EQ(SearchNames("a", 1, domains), (Names{"a.x.test.", "a.y.test.", "a."}));
  EXPECT_EQ(SearchNames("a.b", 1, domains), (Names{"a.b.", "a.b.x.test.", "a.b.y.test."}));
  EXPECT_EQ(SearchNames("a.b", 2, domains), (Names{"a.b.x.test.", "a.b.y.test.", "a.b."}));
  EXPECT_EQ(SearchNames("a.b.", 5, domains), (Names{"a.b."}));
}

TEST(DnsSdConfigs, AreChecked) {
  const auto read = [](const std::string& text) {
    return config::FromYaml<DiscoveryConfig>("dns_sd_configs: [" + text + "]");
  };
  const auto good = read("{names: [a]}");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->dns_sd_configs[0].refresh_interval, Milliseconds(30'000));
  EXPECT_EQ(good->dns_sd_configs[0].type, "SRV");
  EXPECT_TRUE(read("{names: [a], type: mx, port: 25}"));
  for (const char* text : {"{}", "{names: []}", "{names: [a], type: TXT}", "{names: [a], type: A}",
                           "{names: [a], type: NS, port: 0}", "{names: [a], server: b}"})
    EXPECT_FALSE(read(text)) << text;
}

}  // namespace
}  // namespace picket::collectors::discovery
