// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/http/http.h"

#include "tests/collectors/discovery/harness.h"

namespace picket::collectors::discovery {
namespace {

class HttpSd : public Remote {
 protected:
  Discoverer& Ask(const std::string& more = {}) {
    return Watch("http_sd_configs: [{url: 'http://" + server.address() + "/sd?a=b'" + more + "}]");
  }
  Backend server{runtime};
};

TEST_F(HttpSd, GivesGroupsWithTheirUrl) {
  server.Say("/sd", R"([{"targets": ["a:1", "b:2"], "labels": {"zone": "eu"}},
                        {"targets": ["c:3"]}])");
  Discoverer& d = Ask();
  ASSERT_TRUE(Until([&] { return d.groups().size() == 2; }));
  EXPECT_EQ(Addresses(d), (Names{"a:1", "b:2", "c:3"}));
  EXPECT_EQ(d.groups()[0].labels.Get("zone"), "eu");
  EXPECT_EQ(d.groups()[1].labels.Get("__meta_url"), "http://" + server.address() + "/sd?a=b");
  EXPECT_TRUE(d.errors().empty());
  const auto request = server.Asked(1)[0];
  EXPECT_EQ(request.query, "a=b");
  EXPECT_EQ(request.headers.Get("Accept"), "application/json");
  EXPECT_EQ(request.headers.Get("User-Agent"), "picket-test");
  EXPECT_EQ(request.headers.Get("X-Prometheus-Refresh-Interval-Seconds"), "60");
  EXPECT_EQ(Refreshes("http", "ok"), 1);
}

TEST_F(HttpSd, AsksAgainAndFollows) {
  server.Say("/sd", R"([{"targets": ["a:1"]}, {"targets": ["b:2"]}])");
  Discoverer& d = Ask(", refresh_interval: 50ms");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"a:1", "b:2"}; }));
  server.Say("/sd", R"([{"targets": ["c:3"]}])");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"c:3"}; }));
  EXPECT_EQ(server.Asked(2)[1].headers.Get("X-Prometheus-Refresh-Interval-Seconds"), "0.05");
  server.Say("/sd", "[]");
  ASSERT_TRUE(Until([&] { return d.groups().empty(); }));
}

TEST_F(HttpSd, AFailureKeepsTheTargetsAndIsTold) {
  server.Say("/sd", R"([{"targets": ["a:1"]}])");
  Discoverer& d = Ask(", refresh_interval: 20ms");
  ASSERT_TRUE(Until([&] { return Addresses(d) == Names{"a:1"}; }));
  const auto fails_with = [&](const std::string& text) {
    const bool told = Until(
        [&] { return d.errors().size() == 1 && d.errors()[0].find(text) != std::string::npos; });
    EXPECT_EQ(Addresses(d), (Names{"a:1"}));
    return told;
  };
  server.Say("/sd", "[]", 500);
  EXPECT_TRUE(fails_with("server returned HTTP status 500 Internal Server Error"));
  server.Say("/sd", "[]", 200, "text/html");
  EXPECT_TRUE(fails_with("unsupported content type \"text/html\""));
  server.Say("/sd", R"([{"targets": ["b:2"]}, null])");
  EXPECT_TRUE(fails_with("target group 1 is null"));
  server.Say("/sd", R"([{"target": ["b:2"]}])");
  EXPECT_TRUE(fails_with("unknown field \"target\""));
  EXPECT_NE(d.errors()[0].find(server.address()), std::string::npos);
  EXPECT_GE(Refreshes("http", "failed"), 4);
  server.Say("/sd", R"([{"targets": ["b:2"]}])", 200, "Application/JSON; charset=\"UTF-8\"");
  ASSERT_TRUE(Until([&] { return d.errors().empty(); }));
  EXPECT_EQ(Addresses(d), (Names{"b:2"}));
}

TEST_F(HttpSd, NobodyThereIsAnError) {
  Discoverer& d = Watch("http_sd_configs: [{url: 'http://user:geheim@127.0.0.1:1/'}]");
  ASSERT_TRUE(Until([&] { return !d.errors().empty(); }));
  EXPECT_NE(d.errors()[0].find("Connection refused"), std::string::npos) << d.errors()[0];
  EXPECT_EQ(d.errors()[0].find("geheim"), std::string::npos) << d.errors()[0];
  EXPECT_TRUE(d.groups().empty());
}

TEST_F(HttpSd, SendsCredentialsAndHeaders) {
  server.Say("/sd", "[]");
  Ask(", refresh_interval: 50ms, authorization: {credentials: geheim}, "
      "http_headers: {X-Tenant: {values: [shop]}}");
  const auto request = server.Asked(1)[0];
  EXPECT_EQ(request.headers.Get("Authorization"), "Bearer geheim");
  EXPECT_EQ(request.headers.Get("X-Tenant"), "shop");
}

TEST_F(HttpSd, AsksNoMoreWhenItEnds) {
  server.Say("/sd", R"([{"targets": ["a:1"]}])");
  Discoverer& d = Ask(", refresh_interval: 1h");
  ASSERT_TRUE(Until([&] { return !d.groups().empty(); }));
  d.End();  // the test hangs when its tasks do not end
  EXPECT_EQ(server.Asked(1).size(), 1u);
}

TEST(HttpSdAnswer, IsReadAsPrometheusReadsIt) {
  const auto read = [](std::string_view text) { return ParseTargetGroups(text, "http://u/"); };
  EXPECT_TRUE(read("null")->empty());
  const auto odd =
      read(R"([{"Targets": null, "LABELS": null}, {"labels": {"a.b": "x", "e": ""}}])");
  ASSERT_TRUE(odd);
  EXPECT_EQ((*odd)[1].source, "http://u/:1");
  EXPECT_EQ((*odd)[1].labels, Labels({{"__meta_url", "http://u/"}, {"a.b", "x"}}));
  const char* const bad[] = {"",
                             "{}",
                             "[5]",
                             "[null]",
                             "[{}] x",
                             R"([{"targets": "a"}])",
                             R"([{"targets": [5]}])",
                             R"([{"labels": []}])",
                             R"([{"labels": {"a": 5}}])",
                             R"([{"labels": {"": "x"}}])",
                             R"([{"x": 1}])"};
  for (const char* text : bad) EXPECT_FALSE(read(text)) << text;
}

TEST(HttpSdConfigs, AreChecked) {
  const auto good = config::FromYaml<DiscoveryConfig>("http_sd_configs: [{url: 'https://h/x'}]");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->http_sd_configs[0].refresh_interval, Milliseconds(60'000));
  for (const char* text :
       {"{}", "{url: ''}", "{url: h/x}", "{url: 'ftp://h/x'}", "{url: 'http://'}",
        "{url: 'unix:///run/x:/'}", "{url: 'http://h', refresh_interval: 0s}",
        "{url: 'http://h', bearer_token: a, bearer_token_file: b}", "{url: 'http://h', urls: []}"})
    EXPECT_FALSE(config::FromYaml<DiscoveryConfig>("http_sd_configs: [" + std::string(text) + "]"))
        << text;
}

}  // namespace
}  // namespace picket::collectors::discovery
