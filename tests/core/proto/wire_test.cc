// SPDX-License-Identifier: Apache-2.0
#include "core/proto/wire.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace picket::proto {
namespace {

TEST(WireTest, WhatIsWrittenIsReadBack) {
  std::string out;
  Writer w(out);
  w.PutVarint(1, 300);
  w.PutInt(2, -5);
  w.PutSint(3, -77);
  w.PutFixed64(4, 0x0102030405060708);
  w.PutFixed32(5, 0xdeadbeef);
  w.PutDouble(6, 2.5);
  w.PutBytes(7, "hello");
  w.PutBool(400, true);
  Reader r(out);
  ASSERT_TRUE(r.Next());
  EXPECT_TRUE(r.Is(1, WireType::kVarint));
  EXPECT_EQ(r.value(), 300u);
  ASSERT_TRUE(r.Next());
  EXPECT_EQ(static_cast<int64_t>(r.value()), -5);
  ASSERT_TRUE(r.Next());
  EXPECT_EQ(r.AsSint(), -77);
  ASSERT_TRUE(r.Next());
  EXPECT_EQ(r.value(), 0x0102030405060708u);
  ASSERT_TRUE(r.Next());
  EXPECT_EQ(r.value(), 0xdeadbeefu);
  ASSERT_TRUE(r.Next());
  EXPECT_EQ(r.AsDouble(), 2.5);
  ASSERT_TRUE(r.Next());
  EXPECT_EQ(r.bytes(), "hello");
  EXPECT_EQ(r.raw(), std::string("\x3a\x05hello"));
  ASSERT_TRUE(r.Next());
  EXPECT_EQ(r.number(), 400u);
  EXPECT_FALSE(r.Next());
  EXPECT_TRUE(r.ok());
}

TEST(WireTest, VarintsOfEveryWidthSurviveAndTheirSizeIsKnown) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    for (uint64_t v : {(1ULL << bits) - 1, 1ULL << bits}) {
      char buffer[10];
      char* end = WriteVarint(buffer, v);
      EXPECT_EQ(static_cast<size_t>(end - buffer), VarintSize(v));
      uint64_t back = 0;
      EXPECT_EQ(ReadVarint(buffer, end, back), end);
      EXPECT_EQ(back, v);
      for (const char* cut = buffer; cut < end; ++cut)
        EXPECT_EQ(ReadVarint(buffer, cut, back), nullptr);
    }
  }
}

TEST(WireTest, NestedLengthsAreCorrectWhateverWasForeseen) {
  for (size_t size : {0, 1, 127, 128, 16383, 16384, 70000}) {
    for (size_t width : {1, 2, 4}) {
      std::string out;
      Writer w(out);
      auto outer = w.Begin(1, width);
      auto inner = w.Begin(2, width);
      w.PutRaw(std::string(size, 'x'));
      w.End(inner);
      w.PutVarint(3, 9);
      w.End(outer);
      std::string expect;
      Writer e(expect);
      std::string body;
      Writer b(body);
      b.PutBytes(2, std::string(size, 'x'));
      b.PutVarint(3, 9);
      e.PutBytes(1, body);
      EXPECT_EQ(out, expect) << size << " " << width;
    }
  }
}

TEST(WireTest, EveryCutOfAMessageFailsOrEndsOnAField) {
  std::string out;
  Writer w(out);
  w.PutBytes(1, "abc");
  w.PutFixed64(2, 1);
  w.PutFixed32(3, 1);
  w.PutVarint(4, 1000);
  const std::vector<size_t> boundaries{0, 5, 14, 19, 22};
  ASSERT_EQ(out.size(), 22u);
  for (size_t cut = 0; cut <= out.size(); ++cut) {
    // Its own allocation, so that the address sanitizer sees a read past the end.
    const std::vector<char> copy(out.begin(), out.begin() + static_cast<ptrdiff_t>(cut));
    Reader r({copy.data(), copy.size()});
    while (r.Next()) {
    }
    EXPECT_EQ(r.ok(), std::count(boundaries.begin(), boundaries.end(), cut) == 1) << cut;
  }
}

TEST(WireTest, ImpossibleFieldsAreRefused) {
  for (std::string_view bad : {
           std::string_view("\x00\x01", 2),  // field number 0
           std::string_view("\x0e", 1),      // wire type 6
           std::string_view("\x0f", 1),      // wire type 7
           std::string_view("\x0c", 1),      // a group ends that never began
           std::string_view("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
                            10),  // a length of exabytes
           std::string_view("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11),  // 65 bits
           std::string_view("\x0b\x14", 2),  // groups that cross
       }) {
    Reader r(bad);
    EXPECT_FALSE(r.Next());
    EXPECT_FALSE(r.ok());
  }
}

TEST(WireTest, GroupsAreSteppedOverUpToADepth) {
  std::string group("\x0b\x13\x18\x05\x14\x0c", 6);  // 1{ 2{ 3: 5 } }
  Writer(group).PutVarint(4, 7);
  Reader r(group);
  ASSERT_TRUE(r.Next());
  EXPECT_TRUE(r.Is(1, WireType::kStartGroup));
  EXPECT_EQ(r.raw().size(), 6u);
  ASSERT_TRUE(r.Next());
  EXPECT_TRUE(r.Is(4, WireType::kVarint));
  const std::string bomb(1'000'000, '\x0b');
  Reader deep(bomb);
  EXPECT_FALSE(deep.Next());
  EXPECT_FALSE(deep.ok());
}

TEST(WireTest, RandomBytesNeverReadPastTheEnd) {
  std::mt19937_64 random(42);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<char> bytes(random() % 64);
    for (char& c : bytes) c = static_cast<char>(random());
    size_t seen = 0;
    Reader r({bytes.data(), bytes.size()});
    while (r.Next()) seen += r.raw().size();
    EXPECT_LE(seen, bytes.size());
    EXPECT_EQ(r.ok(), seen == bytes.size());
  }
}

}  // namespace
}  // namespace picket::proto
