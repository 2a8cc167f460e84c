// SPDX-License-Identifier: Apache-2.0
// How counts become rows.
#include <algorithm>
#include <iterator>

#include "collectors/otlp/names.h"
#include "collectors/otlp/span_metrics.h"
#include "core/base/strings.h"

namespace picket::collectors::otlp {

void SpanMetrics::Flush() {
  const UnixMs now = clock_.NowMs();
  if (now <= previous_ms_) return;
  const std::vector<Entry*> fresh = InternNew();
  std::vector<std::unique_ptr<Entry>> departed;
  {
    std::lock_guard lock(mutex_);
    if (!fresh.empty()) layout_ = 0;
    if (layout_ == 0) {
      row_series_.clear();
      for (const auto& entry : entries_)
        if (entry->interned)
          row_series_.insert(row_series_.end(), entry->ids.begin(), entry->ids.end());
      layout_ = next_layout_++;
    }
    FillRow(now, departed);
  }
  SendZeros(fresh, now);
  if (!row_series_.empty()) intake_.Append({source_, layout_, now, row_series_, row_values_});
  for (const auto& entry : departed) Release(*entry);
  if (!departed.empty()) layout_ = 0;
  previous_ms_ = now;
}

/// Values in the order of row_series_. Entries that have been silent too long get their last row,
/// of staleness markers, and leave the table, so that a span that comes meanwhile begins a new
/// series.
void SpanMetrics::FillRow(UnixMs now, std::vector<std::unique_ptr<Entry>>& departed) {
  row_values_.clear();
  for (auto& entry : entries_) {
    const bool stale = now - entry->last_seen > config_.stale_after.count();
    if (entry->interned && stale)
      row_values_.insert(row_values_.end(), series_per_entry_, StaleNan());
    else if (entry->interned)
      AppendValues(*entry);
    if (stale) departed.push_back(std::move(entry));
  }
  if (departed.empty()) return;
  std::erase(entries_, nullptr);
  for (const auto& entry : departed)
    if (entry.get() == overflow_) overflow_ = nullptr;
  Rehash(slots_.size());
}

void SpanMetrics::AppendValues(const Entry& entry) {
  row_values_.push_back(static_cast<double>(entry.calls));
  row_values_.push_back(static_cast<double>(entry.size));
  row_values_.push_back(entry.seconds);
  row_values_.push_back(static_cast<double>(entry.calls));
  uint64_t cumulative = 0;
  for (uint64_t n : entry.buckets) row_values_.push_back(static_cast<double>(cumulative += n));
}

/// Each entry's own zero, just behind the row in which it was not there yet: at that time it was
/// true.
void SpanMetrics::SendZeros(const std::vector<Entry*>& fresh, UnixMs now) {
  const UnixMs at = previous_ms_ + 1;
  if (fresh.empty() || at >= now) return;
  std::vector<SeriesId> series;
  for (const Entry* entry : fresh)
    series.insert(series.end(), entry->ids.begin(), entry->ids.end());
  const std::vector<double> zeros(series.size(), 0.0);
  // Rows with the same series carry the same layout.
  const uint64_t layout = series == row_series_ ? layout_ : next_layout_++;
  intake_.Append({source_, layout, at, series, zeros});
}

std::vector<SpanMetrics::Entry*> SpanMetrics::InternNew() {
  std::vector<Entry*> fresh;
  {
    std::lock_guard lock(mutex_);
    for (const auto& entry : entries_)
      if (!entry->interned) fresh.push_back(entry.get());
  }
  // Only Flush removes entries, so the pointers hold without the lock; counting goes on meanwhile.
  std::erase_if(fresh, [this](Entry* entry) { return !InternEntry(*entry); });
  return fresh;
}

bool SpanMetrics::InternEntry(Entry& entry) {
  const auto add = [&](std::string_view metric, std::string_view le,
                       const std::shared_ptr<const MetricMetadata>& meta) {
    auto id = intake_.Intern(source_, LabelsOf(entry, metric, le), meta);
    if (!id) return false;
    entry.ids.push_back(*id);
    return true;
  };
  bool ok = add("traces_spanmetrics_calls_total", {}, calls_meta_) &&
            add("traces_spanmetrics_size_total", {}, size_meta_) &&
            add("traces_spanmetrics_latency_sum", {}, latency_meta_) &&
            add("traces_spanmetrics_latency_count", {}, latency_meta_);
  for (size_t i = 0; ok && i <= config_.buckets.size(); ++i) {
    const std::string le = i < config_.buckets.size() ? FormatFloat(config_.buckets[i]) : "+Inf";
    ok = add("traces_spanmetrics_latency_bucket", le, latency_meta_);
  }
  if (!ok) {
    refused_->Add(series_per_entry_ - entry.ids.size());
    Release(entry);
    entry.ids.clear();
    return false;
  }
  std::lock_guard lock(mutex_);
  entry.interned = true;
  return true;
}

void SpanMetrics::Release(const Entry& entry) {
  for (SeriesId id : entry.ids) intake_.Release(source_, id);
}

Labels SpanMetrics::LabelsOf(const Entry& entry, std::string_view metric,
                             std::string_view le) const {
  std::vector<Labels::Pair> pairs{{kMetricName, metric}, {"le", le}};
  if (entry.overflow) {
    pairs.push_back({"metric_overflow", "true"});
    return Labels::FromViews(std::move(pairs));
  }
  pairs.push_back({"service", entry.text[0]});
  pairs.push_back({"span_name", entry.text[1]});
  pairs.push_back({"span_kind", kSpanKinds[entry.kind]});
  pairs.push_back({"status_code", kStatusCodes[entry.status]});
  for (size_t i = 0; i < dimension_labels_.size(); ++i)
    pairs.push_back({dimension_labels_[i], entry.text[i + 2]});
  return Labels::FromViews(std::move(pairs));
}

}  // namespace picket::collectors::otlp
