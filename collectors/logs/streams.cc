// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/streams.h"

#include <algorithm>

#include "collectors/logs/path_labels.h"

namespace picket::collectors::logs {
namespace {

// A label value is text a person compares; a longer one is not a label (Loki refuses above 2,048).
constexpr size_t kMaxLabelValue = 1024;

LogBatch& PartOf(std::vector<LogBatch>& parts, const std::shared_ptr<const LogStream>& stream,
                 const std::shared_ptr<const std::string>& arena, size_t expected) {
  for (auto it = parts.rbegin(); it != parts.rend(); ++it)
    if (it->stream == stream) return *it;
  LogBatch& batch = parts.emplace_back();
  batch.stream = stream;
  batch.arena = arena;
  batch.records.reserve(expected);
  return batch;
}

}  // namespace

std::shared_ptr<const LogStream> StreamTable::Intern(const Labels& labels) {
  std::string text = StreamText(labels);
  auto& slot = streams_[text];
  if (auto live = slot.lock()) return live;
  auto stream = std::make_shared<LogStream>();
  stream->id = next_id_++;
  stream->labels = labels;
  stream->labels_text = std::move(text);
  slot = stream;
  if (streams_.size() > sweep_at_) {
    std::erase_if(streams_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(256, 2 * streams_.size());
  }
  return stream;
}

StreamSplitter::StreamSplitter(const JsonConfig& config) {
  std::vector<std::string> paths;
  for (const auto& [name, path] : config.fields) {
    names_.push_back(name);
    paths.push_back(path);
    const bool label =
        std::find(config.labels.begin(), config.labels.end(), name) != config.labels.end();
    is_label_.push_back(label);
    any_label_ |= label;
  }
  if (!paths.empty()) extractor_.emplace(paths);
}

std::shared_ptr<const LogStream> StreamSplitter::Base(Origin origin, LogStreams& streams,
                                                      StreamTable& table) {
  auto& base = streams.base[static_cast<size_t>(origin)];
  if (!base) {
    LabelsBuilder labels(streams.labels);
    if (origin == Origin::kStdout) labels.Set("stream", "stdout");
    if (origin == Origin::kStderr) labels.Set("stream", "stderr");
    base = table.Intern(labels.Build());
  }
  return base;
}

std::shared_ptr<const LogStream> StreamSplitter::Variant(Origin origin, const FieldValues& values,
                                                         LogStreams& streams, StreamTable& table) {
  key_.clear();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!is_label_[i]) continue;
    key_ += values[i].substr(0, kMaxLabelValue);
    key_ += '\xff';
  }
  auto& variants = streams.variants[static_cast<size_t>(origin)];
  if (const auto known = variants.find(key_); known != variants.end()) return known->second;
  auto base = Base(origin, streams, table);
  if (variants.size() >= kMaxVariants) {
    ++overflowed_;
    return base;
  }
  LabelsBuilder labels(base->labels);
  for (size_t i = 0; i < values.size(); ++i)
    if (is_label_[i] && !values[i].empty())
      labels.Set(names_[i], RepairUtf8(values[i].substr(0, kMaxLabelValue)));
  return variants[key_] = table.Intern(labels.Build());
}

std::vector<LogBatch> StreamSplitter::Split(Reading& reading, LogStreams& streams,
                                            StreamTable& table) {
  std::vector<LogBatch> parts;
  if (reading.lines == 0) return parts;
  if (extractor_)
    reading.arena->bytes.reserve(reading.arena->bytes.size() + FieldExtractor::kPadding);
  const std::shared_ptr<const std::string> arena(reading.arena, &reading.arena->bytes);
  // Names live as long as the batch, whatever becomes of this configuration.
  std::vector<std::string_view> names;
  names.reserve(names_.size());
  for (const std::string& name : names_)
    names.push_back(reading.arena->unescaped.emplace_back(name));
  for (int o = 0; o < kOrigins; ++o) {
    std::vector<LogRecord>& records = reading.records[static_cast<size_t>(o)];
    if (records.empty()) continue;
    const auto origin = static_cast<Origin>(o);
    if (!extractor_) {
      LogBatch& batch = parts.emplace_back();
      batch.stream = Base(origin, streams, table);
      batch.arena = arena;
      batch.records = std::move(records);
      continue;
    }
    for (LogRecord& record : records) {
      const std::string_view line(arena->data() + record.offset, record.length);
      if (!extractor_->Extract(line, values_, reading.arena->unescaped))
        std::fill(values_.begin(), values_.end(), std::string_view{});
      LogBatch& batch = PartOf(
          parts,
          any_label_ ? Variant(origin, values_, streams, table) : Base(origin, streams, table),
          arena, records.size());
      record.first_attribute = static_cast<uint32_t>(batch.attributes.size());
      for (size_t i = 0; i < values_.size(); ++i)
        if (!is_label_[i] && !values_[i].empty())
          batch.attributes.push_back({names[i], values_[i]});
      record.attribute_count =
          static_cast<uint32_t>(batch.attributes.size()) - record.first_attribute;
      batch.records.push_back(record);
    }
  }
  return parts;
}

}  // namespace picket::collectors::logs
