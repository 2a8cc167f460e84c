// SPDX-License-Identifier: Apache-2.0
#include "agent/api/rules_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace picket::agent {
namespace {

using rules::alerting::Alert;
using rules::alerting::AlertState;
using rules::alerting::GroupStatus;
using rules::alerting::RuleHealth;
using rules::alerting::RuleStatus;
using testing::HasSubstr;
using testing::Not;

RuleStatus Rule(const std::string& name, bool alerting) {
  RuleStatus r;
  r.name = name;
  r.alerting = alerting;
  r.query = "up == 0";
  r.health = RuleHealth::kOk;
  r.labels = {{"severity", alerting ? "page" : "none"}};
  return r;
}

std::vector<GroupStatus> Groups() {
  std::vector<GroupStatus> out;
  for (const char* name : {"c", "a", "b"}) {
    GroupStatus g;
    g.name = name;
    g.file = "rules.yml";
    g.interval = Milliseconds(15'000);
    g.rules = {Rule(std::string("Down") + name, true), Rule(std::string("up:") + name, false)};
    out.push_back(std::move(g));
  }
  return out;
}

std::string Ask(const std::string& query) {
  const auto json = RulesJson(Groups(), Params(query, ""));
  return json ? *json : json.error().message();
}

std::string Names(const std::string& json) {
  std::string out;
  const std::regex group(R"re("name":"([a-z])")re");
  for (std::sregex_iterator it(json.begin(), json.end(), group), end; it != end; ++it)
    out += (*it)[1];
  return out;
}

std::string NextToken(const std::string& json) {
  std::smatch m;
  return std::regex_search(json, m, std::regex(R"re("groupNextToken":"([^"]+)")re")) ? m[1].str()
                                                                                     : "";
}

TEST(Rules, PagesFollowEachOtherWithoutAGapOrARepetition) {
  EXPECT_EQ(Names(Ask("")), "abc");
  EXPECT_EQ(NextToken(Ask("")), "");
  const std::string first = Ask("group_limit=2");
  EXPECT_EQ(Names(first), "ab");
  const std::string second = Ask("group_limit=2&group_next_token=" + NextToken(first));
  EXPECT_EQ(Names(second), "c");
  EXPECT_EQ(NextToken(second), "");
  EXPECT_EQ(NextToken(Ask("group_limit=3")), "") << "nothing follows";
}

TEST(Rules, MistakesInPagesAreToldInPrometheusWords) {
  EXPECT_THAT(Ask("group_next_token=x"), HasSubstr("group_limit needs to be present"));
  EXPECT_THAT(Ask("group_limit=x"), HasSubstr("group_limit needs to be a valid number"));
  EXPECT_THAT(Ask("group_limit=0"), HasSubstr("group_limit needs to be greater than 0"));
  EXPECT_THAT(Ask("group_limit=-1"), HasSubstr("group_limit needs to be greater than 0"));
  EXPECT_THAT(Ask("group_limit=1&group_next_token=gone"), HasSubstr("were rule groups changed?"));
  EXPECT_THAT(Ask("type=both"), HasSubstr("not supported value"));
  EXPECT_THAT(Ask("exclude_alerts=maybe"), HasSubstr("exclude_alerts"));
  EXPECT_THAT(Ask("match[]=%7B"), HasSubstr("match[]"));
}

TEST(Rules, AreChosenByNameGroupFileTypeAndLabels) {
  EXPECT_EQ(Names(Ask("rule_group[]=b")), "b");
  EXPECT_EQ(Names(Ask("file[]=other.yml")), "");
  const std::string one = Ask("rule_name[]=Downa");
  EXPECT_EQ(Names(one), "a");
  EXPECT_THAT(one, Not(HasSubstr("up:a")));
  EXPECT_THAT(Ask("type=record"), Not(HasSubstr("Downa")));
  EXPECT_THAT(Ask("type=ALERT"), Not(HasSubstr("up:a")));
  const std::string paging = Ask("match[]={severity=\"page\"}");
  EXPECT_THAT(paging, HasSubstr("Downa"));
  EXPECT_THAT(paging, Not(HasSubstr("up:a")));
}

TEST(Rules, HavePrometheusFields) {
  auto groups = Groups();
  groups.resize(1);
  RuleStatus& r = groups[0].rules[0];
  r.state = AlertState::kFiring;
  r.hold = Milliseconds(90'000);
  r.last_error = "bad";
  r.annotations = {{"summary", "is \"down\""}};
  Alert a;
  a.labels = Labels{{"alertname", "Downc"}};
  a.state = AlertState::kFiring;
  a.active_ms = 1'700'000'000'000;
  a.value = 1;
  r.alerts.push_back(a);
  EXPECT_EQ(AlertsJson(groups),
            R"({"alerts":[{"labels":{"alertname":"Downc"},"annotations":{},"state":"firing",)"
            R"("activeAt":"2023-11-14T22:13:20Z","value":"1e+00"}]})");
  const std::string all = *RulesJson(groups, Params("", ""));
  for (const char* part : {R"("state":"firing")", R"("duration":90)", R"("keepFiringFor":0)",
                           R"("health":"ok")", R"("lastError":"bad")",
                           R"("annotations":{"summary":"is \"down\""})", R"("type":"alerting")",
                           R"("type":"recording")", R"("interval":15)", R"("alerts":[{"labels")"})
    EXPECT_THAT(all, HasSubstr(part));
  EXPECT_THAT(*RulesJson(groups, Params("exclude_alerts=true", "")), HasSubstr(R"("alerts":null)"));
}

}  // namespace
}  // namespace picket::agent
