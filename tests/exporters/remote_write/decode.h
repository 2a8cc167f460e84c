// SPDX-License-Identifier: Apache-2.0
// Reads request bodies back, independently of how they were made.
#pragma once
#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/proto/wire.h"
#include "exporters/remote_write/request.h"

namespace picket::exporters::remote_write::testing {

struct DecodedSample {
  int64_t t = 0;
  uint64_t bits = 0;
  double value() const { return std::bit_cast<double>(bits); }
};
struct DecodedSeries {
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<DecodedSample> samples;
  uint64_t type = 0;
  std::string help, unit;
  std::string Key() const {
    std::string out;
    for (const auto& [n, v] : labels) out += n + "=" + v + ";";
    return out;
  }
  std::string Get(std::string_view name) const {
    for (const auto& [n, v] : labels)
      if (n == name) return v;
    return {};
  }
};
struct DecodedMetadata {
  uint64_t type = 0;
  std::string family, help, unit;
};
struct DecodedRequest {
  std::vector<std::string> symbols;
  std::vector<DecodedSeries> series;
  std::vector<DecodedMetadata> metadata;
  size_t samples() const {
    size_t n = 0;
    for (const auto& s : series) n += s.samples.size();
    return n;
  }
};

inline DecodedSample DecodeSample(std::string_view bytes) {
  DecodedSample out;
  for (proto::Reader r(bytes); r.Next();) {
    if (r.number() == 1) out.bits = r.value();
    if (r.number() == 2) out.t = static_cast<int64_t>(r.value());
  }
  return out;
}

inline DecodedRequest DecodeV1(std::string_view bytes) {
  DecodedRequest out;
  proto::Reader r(bytes);
  while (r.Next()) {
    if (r.number() == 1) {
      DecodedSeries s;
      for (proto::Reader t(r.bytes()); t.Next();) {
        if (t.number() == 1) {
          std::pair<std::string, std::string> label;
          for (proto::Reader l(t.bytes()); l.Next();)
            (l.number() == 1 ? label.first : label.second) = l.bytes();
          s.labels.push_back(label);
        } else if (t.number() == 2) {
          s.samples.push_back(DecodeSample(t.bytes()));
        } else {
          ADD_FAILURE() << "field " << t.number() << " in a v1 series";
        }
      }
      out.series.push_back(std::move(s));
    } else if (r.number() == 3) {
      DecodedMetadata m;
      for (proto::Reader f(r.bytes()); f.Next();) {
        if (f.number() == 1) m.type = f.value();
        if (f.number() == 2) m.family = f.bytes();
        if (f.number() == 4) m.help = f.bytes();
        if (f.number() == 5) m.unit = f.bytes();
      }
      out.metadata.push_back(std::move(m));
    } else {
      ADD_FAILURE() << "field " << r.number() << " in a v1 request";
    }
  }
  EXPECT_TRUE(r.ok());
  return out;
}

inline DecodedRequest DecodeV2(std::string_view bytes) {
  DecodedRequest out;
  proto::Reader r(bytes);
  const auto symbol = [&out](uint64_t ref) {
    EXPECT_LT(ref, out.symbols.size()) << "a reference outside the table";
    return ref < out.symbols.size() ? out.symbols[ref] : "";
  };
  while (r.Next()) {
    if (r.number() == 4) {
      EXPECT_TRUE(out.series.empty());
      out.symbols.emplace_back(r.bytes());
      continue;
    }
    EXPECT_EQ(r.number(), 5U);
    DecodedSeries s;
    for (proto::Reader t(r.bytes()); t.Next();) {
      if (t.number() == 1) {
        std::vector<uint64_t> refs;
        const auto packed = t.bytes();
        uint64_t ref = 0;
        for (const char *p = packed.data(), *end = p + packed.size();
             p != end && (p = proto::ReadVarint(p, end, ref));)
          refs.push_back(ref);
        EXPECT_EQ(refs.size() % 2, 0U);
        for (size_t i = 0; i + 1 < refs.size(); i += 2)
          s.labels.emplace_back(symbol(refs[i]), symbol(refs[i + 1]));
      } else if (t.number() == 2) {
        s.samples.push_back(DecodeSample(t.bytes()));
      } else if (t.number() == 5) {
        for (proto::Reader m(t.bytes()); m.Next();) {
          if (m.number() == 1) s.type = m.value();
          if (m.number() == 3) s.help = symbol(m.value());
          if (m.number() == 4) s.unit = symbol(m.value());
        }
      } else {
        ADD_FAILURE() << "field " << t.number() << " in a v2 series";
      }
    }
    out.series.push_back(std::move(s));
  }
  EXPECT_TRUE(r.ok());
  EXPECT_FALSE(out.symbols.empty());
  EXPECT_TRUE(out.symbols.empty() || out.symbols[0].empty());
  EXPECT_EQ(std::set<std::string>(out.symbols.begin(), out.symbols.end()).size(),
            out.symbols.size())
      << "twice";
  return out;
}

inline DecodedRequest Decode(bool v2, std::string_view block) {
  auto bytes = Uncompress(block);
  EXPECT_TRUE(bytes) << "not a Snappy block";
  if (!bytes) return {};
  return v2 ? DecodeV2(*bytes) : DecodeV1(*bytes);
}

}  // namespace picket::exporters::remote_write::testing
