// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/counters.h"

#include <re2/re2.h>

#include <algorithm>
#include <atomic>

#include "collectors/logs/path_labels.h"

namespace picket::collectors::logs {
namespace {

constexpr size_t kNone = SIZE_MAX;
std::atomic<uint64_t> g_layout{1};

std::string_view AttributeOf(const LogBatch& batch, const LogRecord& record,
                             std::string_view name) {
  for (uint32_t i = 0; i < record.attribute_count; ++i) {
    const LogAttribute& a = batch.attributes[record.first_attribute + i];
    if (a.name == name) return a.value;
  }
  return {};
}

}  // namespace

struct LineCounters::Rule {
  CountConfig config;
  std::unique_ptr<RE2> match;
  std::shared_ptr<const MetricMetadata> metadata;
  std::unordered_map<uint64_t, size_t> by_stream;     // all labels come from the stream
  std::unordered_map<std::string, size_t> by_values;  // every combination of values
};

LineCounters::LineCounters(std::vector<CountConfig> config, MetricIntake* intake,
                           const std::string& name)
    : intake_(intake) {
  if (intake_ == nullptr || config.empty()) return;
  source_ = intake_->OpenSource("log lines " + name);
  for (CountConfig& c : config) {
    auto rule = std::make_unique<Rule>();
    if (!c.match.empty()) rule->match = std::make_unique<RE2>(c.match, RE2::Quiet);
    rule->metadata =
        std::make_shared<MetricMetadata>(MetricMetadata{MetricType::kCounter, c.name, c.help, {}});
    rule->config = std::move(c);
    rules_.push_back(std::move(rule));
  }
}

LineCounters::~LineCounters() {
  if (intake_ != nullptr && !rules_.empty()) intake_->CloseSource(source_);
}

size_t LineCounters::SeriesOf(Rule& rule, const LogBatch& batch, const LogRecord* record) {
  std::string key;
  LabelsBuilder labels;
  labels.Set(kMetricName, rule.config.name);
  for (const std::string& name : rule.config.labels) {
    std::string_view value = batch.stream->labels.Get(name);
    if (value.empty() && record != nullptr) value = AttributeOf(batch, *record, name);
    key += value;
    key += '\xff';
    if (!value.empty()) labels.Set(name, RepairUtf8(value));
  }
  if (const auto known = rule.by_values.find(key); known != rule.by_values.end())
    return known->second;
  size_t index = kNone;
  if (series_.size() < kMaxSeries) {
    if (auto id = intake_->Intern(source_, labels.Build(), rule.metadata)) {
      index = series_.size();
      series_.push_back({*id, 0});
    } else {
      return kNone;  // refused for now; asked again with the next line
    }
  }
  return rule.by_values[key] = index;
}

void LineCounters::Add(const LogBatch& batch) {
  for (const auto& rule : rules_) {
    const bool per_line = !batch.attributes.empty() && !rule->config.labels.empty();
    auto hits = [&](const LogRecord& r) {
      const std::string_view line = batch.Line(r);
      return !rule->match || RE2::PartialMatch({line.data(), line.size()}, *rule->match);
    };
    if (per_line) {
      for (const LogRecord& r : batch.records) {
        if (!hits(r)) continue;
        if (const size_t i = SeriesOf(*rule, batch, &r); i != kNone) ++series_[i].value;
      }
      continue;
    }
    double n = static_cast<double>(batch.records.size());
    if (rule->match)
      n = static_cast<double>(std::count_if(batch.records.begin(), batch.records.end(), hits));
    auto known = rule->by_stream.find(batch.stream->id);
    const size_t i =
        known != rule->by_stream.end() ? known->second : SeriesOf(*rule, batch, nullptr);
    if (i == kNone) continue;
    if (known == rule->by_stream.end()) rule->by_stream.emplace(batch.stream->id, i);
    series_[i].value += n;
  }
}

void LineCounters::Flush(UnixMs now) {
  if (series_.empty()) return;
  const size_t known = row_ids_.size();
  if (known != series_.size()) layout_ = g_layout.fetch_add(1);
  for (size_t i = 0; i < known; ++i) row_values_[i] = series_[i].value;
  for (size_t i = known; i < series_.size(); ++i) {
    row_ids_.push_back(series_[i].id);
    row_values_.push_back(0);
  }
  intake_->Append({source_, layout_, now, row_ids_, row_values_});
}

}  // namespace picket::collectors::logs
