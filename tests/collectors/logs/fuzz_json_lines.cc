// SPDX-License-Identifier: Apache-2.0
// Fields out of lines that may be anything: values lie in the line or in the strings made for them.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include "collectors/logs/fields.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket::collectors::logs;
  static const std::vector<std::string> kPaths = {"level", "msg",   "ctx.trace_id",
                                                  "ctx",   "a.b.c", "n"};
  static FieldExtractor extractor(kPaths);
  std::string line(reinterpret_cast<const char*>(data), size);
  line.reserve(size + FieldExtractor::kPadding);
  FieldValues values;
  std::deque<std::string> unescaped;
  extractor.Extract(line, values, unescaped);
  if (values.size() != kPaths.size()) std::abort();
  size_t sum = 0;
  for (const std::string_view v : values) {
    if (v.data() == nullptr) continue;
    bool inside = v.data() >= line.data() && v.data() + v.size() <= line.data() + line.size();
    for (const std::string& s : unescaped)
      inside |= v.data() >= s.data() && v.data() + v.size() <= s.data() + s.size();
    if (!inside) std::abort();
    for (const char c : v) sum += static_cast<unsigned char>(c);
  }
  return sum == SIZE_MAX ? 1 : 0;
}
