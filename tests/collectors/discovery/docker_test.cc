// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/docker/docker.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

#include "core/net/url.h"
#include "picket_source_dir.h"
#include "tests/collectors/discovery/harness.h"

namespace picket::collectors::discovery {
namespace {

std::string Recorded(const std::string& name) {
  std::ifstream in(PICKET_SOURCE_DIR "/tests/data/discovery/docker/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Labels> Targets(const DockerSdConfig& config) {
  const auto groups = DockerTargets(Recorded("containers.json"), Recorded("networks.json"), config);
  EXPECT_TRUE(groups) << groups.error().ToString();
  EXPECT_EQ(groups->size(), 1u);
  return (*groups)[0].targets;
}

Labels At(const std::vector<Labels>& targets, std::string_view address) {
  for (const Labels& target : targets)
    if (target.Get("__address__") == address) return target;
  return {};
}

TEST(Docker, ATargetForEachTcpPortOfTheFirstNetwork) {
  const auto targets = Targets({});
  Names addresses;
  for (const Labels& target : targets) addresses.emplace_back(target.Get("__address__"));
  EXPECT_EQ(addresses, (Names{"172.19.0.2:8080", "172.19.0.2:9100", "172.19.0.3:80", "localhost",
                              "172.20.0.2:3306", "172.20.0.2:9104", "[fc00::2]:80"}));
  EXPECT_EQ(At(targets, "172.19.0.2:9100"),
            Labels({{"__address__", "172.19.0.2:9100"},
                    {"__meta_docker_container_id", "c1"},
                    {"__meta_docker_container_image", "shop/web:1.2"},
                    {"__meta_docker_container_image_id", "sha256:11"},
                    {"__meta_docker_container_label_com_docker_compose_service", "web"},
                    {"__meta_docker_container_label_prometheus_job", "web"},
                    {"__meta_docker_container_name", "/shop_web_1"},
                    {"__meta_docker_container_network_mode", "shop_default"},
                    {"__meta_docker_network_id", "n1"},
                    {"__meta_docker_network_ingress", "false"},
                    {"__meta_docker_network_internal", "false"},
                    {"__meta_docker_network_ip", "172.19.0.2"},
                    {"__meta_docker_network_label_com_docker_compose_network", "default"},
                    {"__meta_docker_network_name", "shop_default"},
                    {"__meta_docker_network_scope", "local"},
                    {"__meta_docker_port_private", "9100"},
                    {"__meta_docker_port_public", "32768"},
                    {"__meta_docker_port_public_ip", "0.0.0.0"}}));
  EXPECT_EQ(At(targets, "localhost"), Labels({{"__address__", "localhost"},
                                              {"__meta_docker_container_id", "c3"},
                                              {"__meta_docker_container_image", "httpd"},
                                              {"__meta_docker_container_image_id", "sha256:13"},
                                              {"__meta_docker_container_name", "/shop_host_1"},
                                              {"__meta_docker_container_network_mode", "host"}}));
  const Labels shared = At(targets, "172.20.0.2:9104");
  EXPECT_EQ(shared.Get("__meta_docker_container_network_mode"), "container:c4");
  EXPECT_EQ(shared.Get("__meta_docker_network_name"), "shop_private");
  EXPECT_EQ(shared.Get("__meta_docker_network_internal"), "true");
  EXPECT_EQ(At(targets, "[fc00::2]:80").Get("__meta_docker_network_ip"), "fc00::2");
}

TEST(Docker, EveryNetworkAndEveryContainerWhenAskedFor) {
  DockerSdConfig config;
  config.match_first_network = false;
  config.include_no_network_targets = true;
  config.port = 8000;
  config.host_networking_host = "node:1";
  const auto targets = Targets(config);
  EXPECT_EQ(targets.size(), 11u);
  EXPECT_EQ(At(targets, "172.21.0.2:3306").Get("__meta_docker_network_ingress"), "true");
  EXPECT_FALSE(At(targets, "172.19.0.3:8000").empty());
  EXPECT_FALSE(At(targets, "node:1").empty());
  EXPECT_EQ(At(targets, "").Get("__meta_docker_container_name"), "/shop_ring_1");
}

TEST(Docker, RefusesWhatIsNoList) {
  EXPECT_FALSE(DockerTargets("{}", "[]", {}));
  EXPECT_FALSE(DockerTargets("[]", "[", {}));
  EXPECT_TRUE((*DockerTargets("[{}, 5, null]", "[7]", {}))[0].targets.empty());
}

class DockerSd : public Remote {
 protected:
  static void Fill(Backend& engine) {
    engine.Say("/containers/json", Recorded("containers.json"));
    engine.Say("/networks", Recorded("networks.json"));
  }
};

TEST_F(DockerSd, AsksAnEngineByItsSocket) {
  const std::string socket = "/tmp/picket-docker-" + std::to_string(::getpid()) + ".sock";
  Backend engine(runtime, "unix:" + socket);
  Fill(engine);
  Discoverer& d = Watch("docker_sd_configs: [{host: 'unix://" + socket + "'}]");
  ASSERT_TRUE(Until([&] { return Addresses(d).size() == 7; }));
  EXPECT_EQ(engine.Asked(2)[0].query, "");
  EXPECT_EQ(Refreshes("docker", "ok"), 1);
}

TEST_F(DockerSd, AsksOverTcpWithFilters) {
  Backend engine(runtime);
  Fill(engine);
  Discoverer& d = Watch("docker_sd_configs: [{host: 'tcp://" + engine.address() +
                        "', filters: [{name: label, values: [a=b, c]}, {name: name, values: "
                        "['\"x\"']}]}]");
  ASSERT_TRUE(Until([&] { return Addresses(d).size() == 7; }));
  const auto asked = engine.Asked(2);
  EXPECT_EQ(*net::PercentDecode(asked[0].query, true),
            R"(filters={"label":["a=b","c"],"name":["\"x\""]})");
  EXPECT_EQ(asked[1].path, "/networks");
}

TEST_F(DockerSd, AFailureKeepsTheTargetsAndIsTold) {
  Backend engine(runtime);
  Fill(engine);
  Discoverer& d = Watch("docker_sd_configs: [{host: 'http://" + engine.address() +
                        "', refresh_interval: 20ms, basic_auth: {username: u, password: p}}]");
  ASSERT_TRUE(Until([&] { return Addresses(d).size() == 7; }));
  EXPECT_EQ(engine.Asked(1)[0].headers.Get("Authorization"), "Basic dTpw");
  engine.Say("/networks", R"({"message": "out of order"})", 500);
  ASSERT_TRUE(Until([&] { return !d.errors().empty(); }));
  EXPECT_NE(d.errors()[0].find("listing networks: the engine says 500"), std::string::npos)
      << d.errors()[0];
  EXPECT_NE(d.errors()[0].find("out of order"), std::string::npos) << d.errors()[0];
  EXPECT_EQ(Addresses(d).size(), 7u);
  engine.Say("/networks", "[]");
  engine.Say("/containers/json", "[]");
  ASSERT_TRUE(Until([&] { return d.errors().empty() && Addresses(d).empty(); }));
}

TEST(DockerSdConfigs, AreChecked) {
  const auto read = [](const std::string& text) {
    return config::FromYaml<DiscoveryConfig>("docker_sd_configs: [" + text + "]");
  };
  const auto good = read("{host: 'unix:///var/run/docker.sock'}");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->docker_sd_configs[0].refresh_interval, Milliseconds(60'000));
  EXPECT_EQ(good->docker_sd_configs[0].port, 80);
  EXPECT_TRUE(good->docker_sd_configs[0].match_first_network);
  EXPECT_TRUE(read("{host: 'tcp://h:2375'}"));
  EXPECT_TRUE(read("{host: 'https://h:2376', tls_config: {insecure_skip_verify: true}}"));
  for (const char* text : {"{}", "{host: ''}", "{host: 'ssh://h'}", "{host: 'h:2375'}",
                           "{host: 'unix://x'}", "{host: 'tcp://h', port: 70000}",
                           "{host: 'tcp://h', hosts: []}", "{host: 'tcp://h', filters: [a]}"})
    EXPECT_FALSE(read(text)) << text;
}

}  // namespace
}  // namespace picket::collectors::discovery
