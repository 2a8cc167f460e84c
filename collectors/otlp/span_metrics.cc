// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/span_metrics.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "collectors/otlp/metrics.h"
#include "collectors/otlp/names.h"
#include "core/base/hash.h"
#include "core/base/strings.h"

namespace picket::collectors::otlp {
namespace {

/// Longer texts are cut: a label is no place for a statement of a megabyte.
constexpr size_t kMaxText = 1024;

/// Series of an entry before its buckets: calls, size, sum, count.
constexpr size_t kBeforeBuckets = 4;

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) >= 0; });
}

/// Labels are UTF-8: other bytes become '?', in `scratch`.
std::string_view AsLabel(std::string_view text, std::string& scratch) {
  if (text.size() > kMaxText) {
    text = text.substr(0, kMaxText);
    while (!text.empty() && (static_cast<uint8_t>(text.back()) & 0xc0) == 0x80)
      text.remove_suffix(1);
    if (!text.empty() && static_cast<uint8_t>(text.back()) >= 0xc0) text.remove_suffix(1);
  }
  if (IsAscii(text) || IsValidUtf8(text)) return text;
  scratch = text;
  for (char& c : scratch)
    if (static_cast<signed char>(c) < 0) c = '?';
  return scratch;
}

/// "http.method" as a label name. Source: OpenTelemetry to Prometheus, attribute names.
std::string LabelName(std::string_view attribute) {
  static constexpr std::string_view kTaken[] = {
      "service", "span_name", "span_kind", "status_code",     "status_message",
      "job",     "instance",  "le",        "metric_overflow", "__name__"};
  std::string name(attribute);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') c = '_';
  if (!name.empty() && std::isdigit(static_cast<unsigned char>(name[0]))) name.insert(0, "_");
  if (std::find(std::begin(kTaken), std::end(kTaken), name) != std::end(kTaken))
    name.insert(0, "__");
  return name;
}

std::vector<std::string> WithService(const std::vector<std::string>& dimensions) {
  std::vector<std::string> keys{"service.name"};
  keys.insert(keys.end(), dimensions.begin(), dimensions.end());
  return keys;
}

std::shared_ptr<const MetricMetadata> Describe(MetricType type, std::string family,
                                               std::string help, std::string unit) {
  return std::make_shared<const MetricMetadata>(
      MetricMetadata{type, std::move(family), std::move(help), std::move(unit)});
}

}  // namespace

SpanMetrics::SpanMetrics(SpanMetricsConfig config, MetricIntake& intake, const Clock& clock,
                         Telemetry& telemetry)
    : config_(std::move(config)),
      intake_(intake),
      clock_(clock),
      series_per_entry_(kBeforeBuckets + config_.buckets.size() + 1),
      overflowed_(telemetry.AddCounter(kSpanOverflow)),
      refused_(telemetry.AddCounter(kSpanInternRefused)),
      active_(telemetry.AddCallback(kSpanSeries, {},
                                    [this] { return static_cast<double>(active_series()); })),
      calls_meta_(Describe(MetricType::kCounter, "traces_spanmetrics_calls_total", "Spans.", "")),
      size_meta_(Describe(MetricType::kCounter, "traces_spanmetrics_size_total",
                          "Bytes of spans in OTLP.", "bytes")),
      latency_meta_(Describe(MetricType::kHistogram, "traces_spanmetrics_latency",
                             "Duration of spans.", "seconds")),
      source_(intake.OpenSource("span metrics")),
      slots_(64, 0),
      resource_picker_(WithService(config_.dimensions)),
      span_picker_(config_.dimensions),
      dimensions_(config_.dimensions.size()),
      repaired_(2 + config_.dimensions.size()),
      previous_ms_(clock.NowMs()) {
  for (const std::string& d : config_.dimensions) {
    std::string name = LabelName(d);
    // Two attributes must not become one label: their series would be one series.
    while (std::find(dimension_labels_.begin(), dimension_labels_.end(), name) !=
           dimension_labels_.end())
      name += '_';
    dimension_labels_.push_back(std::move(name));
  }
  for (double b : config_.buckets)
    bounds_ns_.push_back(static_cast<uint64_t>(std::llround(b * 1e9)));
}

SpanMetrics::~SpanMetrics() {
  active_.reset();
  intake_.CloseSource(source_);
}

size_t SpanMetrics::active_series() const {
  std::lock_guard lock(mutex_);
  return entries_.size() * series_per_entry_;
}

Admission SpanMetrics::OnSpans(const SpanSlab& slab) {
  const UnixMs now = clock_.NowMs();
  std::lock_guard lock(mutex_);
  proto::WalkTraces(
      slab.view(),
      [&](std::string_view resource) {
        resource_picker_.Clear();
        proto::ReadResource(resource, resource_picker_);
        service_ = AsLabel(resource_picker_.value(0), repaired_[0]);
        service_hash_ = Hash64(service_);
      },
      [&](std::string_view span) { CountSpan(span, now); });
  return {};
}

void SpanMetrics::CountSpan(std::string_view bytes, UnixMs now) {
  proto::SpanView span;
  span_picker_.Clear();
  if (!proto::ReadSpan(bytes, span, span_picker_.empty() ? nullptr : &span_picker_)) return;
  Key key;
  key.service = service_;
  key.name = AsLabel(span.name, repaired_[1]);
  key.kind = span.kind < std::size(kSpanKinds) ? span.kind : 0;
  key.status = span.status < std::size(kStatusCodes) ? span.status : 0;
  uint64_t hash = Hash64(key.name, service_hash_ + key.kind * 8 + key.status);
  for (size_t i = 0; i < dimensions_.size(); ++i) {
    std::string_view value = span_picker_.value(i);
    if (value.empty()) value = resource_picker_.value(i + 1);
    dimensions_[i] = AsLabel(value, repaired_[2 + i]);
    hash = Hash64(dimensions_[i], hash);
  }
  key.dimensions = dimensions_;

  Entry& entry = EntryOf(key, hash);
  const uint64_t ns = span.end_ns > span.start_ns ? span.end_ns - span.start_ns : 0;
  entry.last_seen = now;
  ++entry.calls;
  entry.size += bytes.size();
  entry.seconds += static_cast<double>(ns) * 1e-9;
  const auto bucket = std::lower_bound(bounds_ns_.begin(), bounds_ns_.end(), ns);
  ++entry.buckets[static_cast<size_t>(bucket - bounds_ns_.begin())];
}

bool SpanMetrics::Same(const Entry& entry, const Key& key) {
  return entry.kind == key.kind && entry.status == key.status && entry.text[1] == key.name &&
         entry.text[0] == key.service &&
         std::equal(key.dimensions.begin(), key.dimensions.end(), entry.text.begin() + 2);
}

SpanMetrics::Entry& SpanMetrics::EntryOf(const Key& key, uint64_t hash) {
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask; slots_[i] != 0; i = (i + 1) & mask) {
    Entry& entry = *entries_[slots_[i] - 1];
    if (entry.hash == hash && Same(entry, key)) return entry;
  }
  return Create(key, hash);
}

SpanMetrics::Entry& SpanMetrics::Create(const Key& key, uint64_t hash) {
  // One place is kept for the overflow.
  const bool full =
      (entries_.size() + (overflow_ ? 1 : 2)) * series_per_entry_ > config_.max_active_series;
  if (full) {
    overflowed_->Add();
    if (overflow_) return *overflow_;
  }
  auto entry = std::make_unique<Entry>();
  entry->buckets.resize(config_.buckets.size() + 1);
  if (full) {
    entry->overflow = true;
    overflow_ = entry.get();
    entries_.push_back(std::move(entry));
    return *overflow_;
  }
  entry->hash = hash;
  entry->kind = key.kind;
  entry->status = key.status;
  entry->text.emplace_back(key.service);
  entry->text.emplace_back(key.name);
  entry->text.insert(entry->text.end(), key.dimensions.begin(), key.dimensions.end());
  entries_.push_back(std::move(entry));
  if (entries_.size() * 2 > slots_.size())
    Rehash(slots_.size() * 2);
  else
    Insert(static_cast<uint32_t>(entries_.size() - 1));
  return *entries_.back();
}

void SpanMetrics::Insert(uint32_t index) {
  const size_t mask = slots_.size() - 1;
  size_t i = entries_[index]->hash & mask;
  while (slots_[i] != 0) i = (i + 1) & mask;
  slots_[i] = index + 1;
}

void SpanMetrics::Rehash(size_t slots) {
  slots_.assign(slots, 0);
  for (uint32_t i = 0; i < entries_.size(); ++i)
    if (!entries_[i]->overflow) Insert(i);
}

}  // namespace picket::collectors::otlp
