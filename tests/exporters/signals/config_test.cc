// SPDX-License-Identifier: Apache-2.0
#include "exporters/signals/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace picket::exporters::signals {
namespace {

using testing::HasSubstr;

std::string Fault(const std::string& yaml) {
  const auto loaded = config::FromYaml<SignalConfig>(yaml, "c.yml");
  return loaded ? "" : loaded.error().ToString();
}

TEST(SignalConfigTest, ReadsBothKinds) {
  const auto hook = config::FromYaml<SignalConfig>(
      "{kind: webhook, url: 'http://h/x', secret: hush, headers: {X-A: b}, basic_auth: {username: "
      "u}, give_up_after: 5m}");
  ASSERT_TRUE(hook) << hook.error().ToString();
  EXPECT_EQ(hook->secret.Reveal(), "hush");
  EXPECT_EQ(hook->http.basic_auth->username, "u");
  EXPECT_EQ(hook->give_up_after, Milliseconds(300'000));
  EXPECT_EQ(config::ToYaml(*hook).find("hush"), std::string::npos);
  const auto exec = config::FromYaml<SignalConfig>("{kind: exec, command: [a, b]}");
  ASSERT_TRUE(exec) << exec.error().ToString();
  EXPECT_EQ(exec->command.size(), 2u);
}

TEST(SignalConfigTest, FaultsAreNamed) {
  EXPECT_THAT(Fault("{url: 'http://h'}"), HasSubstr("kind"));
  EXPECT_THAT(Fault("{kind: carrier_pigeon}"), HasSubstr("carrier_pigeon"));
  EXPECT_THAT(Fault("{kind: webhook}"), HasSubstr("needs a url"));
  EXPECT_THAT(Fault("{kind: webhook, url: 'ftp://h'}"), HasSubstr("ftp"));
  EXPECT_THAT(Fault("{kind: webhook, url: 'http://h', secret: a, secret_file: b}"),
              HasSubstr("both given"));
  EXPECT_THAT(Fault("{kind: webhook, url: 'http://h', command: [a]}"),
              HasSubstr("belongs to kind: exec"));
  EXPECT_THAT(Fault("{kind: exec}"), HasSubstr("needs a command"));
  EXPECT_THAT(Fault("{kind: exec, command: [a], url: 'http://h'}"),
              HasSubstr("belongs to kind: webhook"));
  EXPECT_THAT(Fault("{kind: exec, command: [a], min_backoff: 1m}"), HasSubstr("below min_backoff"));
}

}  // namespace
}  // namespace picket::exporters::signals
