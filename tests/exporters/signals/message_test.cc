// SPDX-License-Identifier: Apache-2.0
#include "exporters/signals/message.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "exporters/signals/journal.h"

namespace picket::exporters::signals {
namespace {

RolloutSignal Bad() {
  RolloutSignal s;
  s.canary = "shop";
  s.rollout_id = "shop-7f\"9";
  s.action = "rollback";
  s.verdict = Verdict::kBad;
  s.reason = "5 % errors against 0.1 %";
  s.decided_at_ms = 1'700'000'000'123;
  s.evidence_json = "{\"log_e\":7.5}";
  return s;
}

TEST(MessageTest, IsOneJsonObject) {
  EXPECT_EQ(MessageJson(Bad()),
            "{\"canary\":\"shop\",\"rollout_id\":\"shop-7f\\\"9\",\"action\":\"rollback\","
            "\"verdict\":\"bad\","
            "\"reason\":\"5 % errors against 0.1 "
            "%\",\"decided_at\":\"2023-11-14T22:13:20.123Z\",\"evidence\":{\"log_e\":7.5}}");
}

TEST(MessageTest, TheSignatureIsWhatAReceiverComputes) {
  // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
  EXPECT_EQ(Signature("key", 1'700'000'000, "{\"a\":1}"),
            "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03");
}

TEST(MessageTest, TheKeyNamesTheActionNotTheAttempt) {
  RolloutSignal later = Bad();
  later.decided_at_ms += 1000;
  later.reason = "still bad";
  EXPECT_EQ(IdempotencyKey(Bad()), IdempotencyKey(later));
  RolloutSignal other = Bad();
  other.rollout_id = "shop-8";
  EXPECT_NE(IdempotencyKey(Bad()), IdempotencyKey(other));
  other = Bad();
  other.action = "promote";
  EXPECT_NE(IdempotencyKey(Bad()), IdempotencyKey(other));
}

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    std::string name = (std::filesystem::temp_directory_path() / "picket-journal-XXXXXX").string();
    dir = ::mkdtemp(name.data());
  }
  ~JournalTest() override { std::filesystem::remove_all(dir); }
  static Entry Accepted(const RolloutSignal& s) {
    return {s, State::kPending, "", 1'700'000'000'000, 0};
  }
  std::string dir;
};

TEST_F(JournalTest, RemembersAcrossRestarts) {
  const std::string path = dir + "/deep/hook.json";
  {
    Journal journal(path);
    ASSERT_TRUE(journal.Load());
    EXPECT_TRUE(journal.Add(Accepted(Bad())));
    RolloutSignal second = Bad();
    second.rollout_id = "two";
    EXPECT_TRUE(journal.Add(Accepted(second)));
    journal.Update(second, State::kFailed, "status 404: \"no\"\n", 3);
    ASSERT_TRUE(journal.Save());
  }
  Journal journal(path);
  ASSERT_TRUE(journal.Load());
  EXPECT_FALSE(journal.Add(Accepted(Bad())));
  ASSERT_EQ(journal.Pending().size(), 1u);
  const Entry pending = journal.Pending()[0];
  EXPECT_EQ(MessageJson(pending.signal), MessageJson(Bad()));
  const auto failed = journal.FindById("two");
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->state, State::kFailed);
  EXPECT_EQ(failed->detail, "status 404: \"no\"\n");
  EXPECT_EQ(failed->attempts, 3u);
}

TEST_F(JournalTest, ADamagedFileIsSetAside) {
  const std::string path = dir + "/hook.json";
  std::ofstream(path) << "{\"version\":1,\"rollouts\":[{\"canary\":";
  Journal journal(path);
  ASSERT_TRUE(journal.Load());
  EXPECT_TRUE(std::filesystem::exists(path + ".damaged"));
  EXPECT_TRUE(journal.Add(Accepted(Bad())));
  EXPECT_TRUE(journal.Save());
}

TEST_F(JournalTest, ForgetsTheOldestSettledOnly) {
  Journal journal("");
  RolloutSignal pending = Bad();
  ASSERT_TRUE(journal.Add(Accepted(pending)));
  for (int i = 0; i < 1100; ++i) {
    Entry e = Accepted(Bad());
    e.signal.rollout_id = "r" + std::to_string(i);
    e.accepted_ms += i;
    e.state = State::kDelivered;
    ASSERT_TRUE(journal.Add(e));
  }
  EXPECT_TRUE(journal.Find(pending));
  EXPECT_FALSE(journal.FindById("r0"));
  EXPECT_TRUE(journal.FindById("r1099"));
}

}  // namespace
}  // namespace picket::exporters::signals
