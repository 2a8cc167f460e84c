// SPDX-License-Identifier: Apache-2.0
// Random lives of the small collections beside the standard ones.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "core/base/flat_index.h"
#include "core/base/number_lists.h"

namespace picket {
namespace {

TEST(NumberSet, LivesLikeASet) {
  for (const uint32_t range : {50U, 5'000U, UINT32_MAX - 1}) {
    std::mt19937 random(range);
    NumberSet set;
    std::set<uint32_t> model;
    for (int step = 0; step < 20'000; ++step) {
      const uint32_t n = random() % range;
      if (random() % 2 == 0)
        ASSERT_EQ(set.Insert(n), model.insert(n).second);
      else
        ASSERT_EQ(set.Erase(n), model.erase(n) == 1);
      const uint32_t other = random() % range;
      ASSERT_EQ(set.Has(other), model.contains(other));
    }
    const std::vector<uint32_t> all = set.ToVector();
    EXPECT_EQ(std::set<uint32_t>(all.begin(), all.end()), model);
    EXPECT_EQ(all.size(), model.size());
    for (const uint32_t n : all) EXPECT_TRUE(set.Erase(n));
    EXPECT_TRUE(set.ToVector().empty());
  }
}

TEST(NumberSet, NeighboursShareAWord) {
  NumberSet set;
  for (uint32_t n = 7'000; n < 8'000; ++n) set.Insert(n);
  EXPECT_LT(set.memory_bytes(), 1'000U);
}

TEST(NumberLists, GivesBackWhatWasPutAndUsesPlacesAgain) {
  std::mt19937 random(1);
  NumberLists lists;
  std::map<NumberLists::Place, std::vector<uint32_t>> model;
  size_t after_filling = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (model.size() < 500 || (model.size() < 1'000 && random() % 2 == 0)) {
      std::vector<uint32_t> list(random() % (step % 100 == 0 ? 300 : 12));
      for (uint32_t& n : list) n = static_cast<uint32_t>(random()) >> (random() % 32);
      const auto place = lists.Add(list);
      ASSERT_TRUE(model.emplace(place, list).second) << "a place in use was given away";
    } else {
      auto it = model.begin();
      std::advance(it, random() % model.size());
      lists.Remove(it->first);
      model.erase(it);
    }
    if (step == 10'000) after_filling = lists.memory_bytes();
  }
  std::vector<uint32_t> out;
  for (const auto& [place, list] : model) {
    lists.Copy(place, out);
    EXPECT_EQ(out, list);
    EXPECT_TRUE(lists.Equal(place, list));
    out.push_back(1);
    EXPECT_FALSE(lists.Equal(place, out));
    if (list.empty()) continue;
    ++out.front();
    out.pop_back();
    EXPECT_FALSE(lists.Equal(place, out));
  }
  EXPECT_LE(lists.memory_bytes(), 4 * after_filling);
}

}  // namespace
}  // namespace picket
