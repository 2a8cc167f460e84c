// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/model/logs.h"

namespace picket::exporters::loki {

struct TestLine {
  UnixNs time_ns;
  std::string text;
  std::vector<std::pair<std::string, std::string>> metadata;
};

inline std::vector<TestLine> Lines(int from, int to, const std::string& prefix = "line ") {
  std::vector<TestLine> out;
  for (int i = from; i < to; ++i)
    out.push_back({1'700'000'000'000'000'000 + i, prefix + std::to_string(i), {}});
  return out;
}

inline LogBatch MakeBatch(uint64_t id, const std::string& labels_text,
                          const std::vector<TestLine>& lines, Labels labels = Labels{{"a", "b"}}) {
  auto stream = std::make_shared<LogStream>();
  stream->id = id;
  stream->labels_text = labels_text;
  stream->labels = std::move(labels);
  auto arena = std::make_shared<std::string>();
  for (const TestLine& l : lines) {
    *arena += l.text;
    for (const auto& [name, value] : l.metadata) *arena += name + value;
  }
  LogBatch batch;
  size_t at = 0;
  for (const TestLine& l : lines) {
    LogRecord r{l.time_ns, static_cast<uint32_t>(at), static_cast<uint32_t>(l.text.size()),
                static_cast<uint32_t>(batch.attributes.size()),
                static_cast<uint32_t>(l.metadata.size())};
    at += l.text.size();
    for (const auto& [name, value] : l.metadata) {
      const std::string_view all = *arena;
      batch.attributes.push_back(
          {all.substr(at, name.size()), all.substr(at + name.size(), value.size())});
      at += name.size() + value.size();
    }
    batch.records.push_back(r);
  }
  batch.stream = stream;
  batch.arena = arena;
  return batch;
}

}  // namespace picket::exporters::loki
