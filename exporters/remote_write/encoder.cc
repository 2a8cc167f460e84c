// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/encoder.h"

#include <algorithm>
#include <bit>

#include "core/base/hash.h"
#include "core/proto/wire.h"
#include "core/spool/spool.h"
#include "exporters/remote_write/metrics.h"

namespace picket::exporters::remote_write {
namespace {

enum Cause : size_t { kRow, kFull, kDeadline };

size_t TimeWidth(UnixMs t) { return proto::VarintSize(static_cast<uint64_t>(t)); }

}  // namespace

Encoder::Encoder(EncoderOptions options, Output output)
    : options_(std::move(options)), output_(std::move(output)), v2_(options_.v2) {
  options_.batches = std::clamp(options_.batches, 1U, spool::kLanes / 2);
  for (uint32_t i = 0; i < options_.batches; ++i)
    batches_.push_back(std::make_unique<Batch>(options_.v2));
  Telemetry own;
  Telemetry& t = options_.telemetry != nullptr ? *options_.telemetry : own;
  const auto labels = [this](const char* key, const char* value) {
    return TelemetryLabels{{"destination", options_.name}, {key, value}};
  };
  built_ = {t.AddCounter(kRequestsBuilt, labels("cause", "row")),
            t.AddCounter(kRequestsBuilt, labels("cause", "full")),
            t.AddCounter(kRequestsBuilt, labels("cause", "deadline"))};
  bytes_raw_ = t.AddCounter(kRequestBytes, labels("stage", "encoded"));
  bytes_sent_ = t.AddCounter(kRequestBytes, labels("stage", "compressed"));
  plans_ = t.AddCounter(kPlansBuilt, {{"destination", options_.name}});
}

Encoder::~Encoder() = default;

// Batches have the first lanes; sources of their own share the others.
uint16_t Encoder::DirectLane(SourceId id) const {
  const auto taken = static_cast<uint32_t>(batches_.size());
  return static_cast<uint16_t>(taken + (id * 2654435761U >> 8) % (spool::kLanes - taken));
}

void Encoder::OnSeries(SeriesId id, const Labels& labels,
                       const std::shared_ptr<const MetricMetadata>& metadata) {
  LabelsBuilder builder(labels);
  for (const auto& pair : options_.external_labels)
    if (builder.Get(pair.name).empty()) builder.Set(pair.name, pair.value);
  const bool keep = relabel::Process(options_.relabel, builder);
  const Labels final_labels = keep ? builder.Build() : Labels();
  std::unique_lock lock(mutex_);
  book_.Add(id, final_labels, metadata);
}

void Encoder::OnSeriesGone(SeriesId id) {
  std::unique_lock lock(mutex_);
  book_.Remove(id);
  // Batches remember numbers of texts until they are sent. Under churn they are sent early now and
  // then.
  constexpr size_t kManyUnused = 10'000;
  if (book_.unused() >= kManyUnused) Flush(Duration::max(), true);
  if (pending_.load(std::memory_order_relaxed) == 0) book_.Sweep();
}

void Encoder::OnSourceGone(SourceId source) {
  std::unique_lock lock(mutex_);
  if (source < sources_.size()) sources_[source].reset();
}

Encoder::Source& Encoder::SourceOf(SourceId id, std::shared_lock<std::shared_mutex>& lock) {
  if (id >= sources_.size() || !sources_[id]) {
    lock.unlock();
    {
      std::unique_lock grow(mutex_);
      if (id >= sources_.size()) sources_.resize(id + 1);
      if (!sources_[id]) sources_[id] = std::make_unique<Source>();
    }
    lock.lock();
  }
  return *sources_[id];
}

uint32_t Encoder::OnRow(const SampleRow& row) {
  std::shared_lock lock(mutex_);
  Source& s = SourceOf(row.source, lock);
  if (!s.lane) {
    s.direct = row.series.size() >= options_.direct_samples;
    s.lane = s.direct ? DirectLane(row.source) : BatchLane(row.source);
  }
  const bool direct = s.direct || row.series.size() >= options_.direct_samples;
  if (direct || !v2()) {
    if (s.layout != row.layout || s.v2 != v2() || s.time_width != TimeWidth(row.timestamp_ms))
      MakePlan(s, row);
    SendPlan(s, row);
    return s.filtered;
  }
  const uint64_t before = row.series.size();
  uint32_t sent = 0;
  Batch& batch = *batches_[*s.lane];
  std::lock_guard guard(batch.mutex);
  for (size_t i = 0; i < row.series.size(); ++i) {
    const auto& series = book_.Get(row.series[i]);
    if (series.state != SeriesBook::Series::State::kLive) continue;
    AddSample(batch, *s.lane, series, row.timestamp_ms, row.values[i]);
    ++sent;
  }
  return static_cast<uint32_t>(before - sent);
}

void Encoder::MakePlan(Source& s, const SampleRow& row) {
  plans_->Add();
  s.layout = row.layout;
  s.v2 = v2();
  s.time_width = TimeWidth(row.timestamp_ms);
  s.chunks.clear();
  s.filtered = 0;
  RequestBuilder builder(s.v2);
  Chunk chunk;
  const auto finish = [&] {
    if (builder.empty()) return;
    size_t first_series = 0;
    chunk.bytes = builder.Finish(&first_series);
    chunk.bytes.shrink_to_fit();
    for (auto& at : chunk.values) at += static_cast<uint32_t>(first_series);
    chunk.first = chunk.index.front();
    if (chunk.index.back() - chunk.first + 1 == chunk.index.size()) chunk.index = {};
    chunk.values.shrink_to_fit();
    s.chunks.push_back(std::move(chunk));
    chunk = {};
    builder.Clear();
  };
  for (size_t i = 0; i < row.series.size(); ++i) {
    const auto& series = book_.Get(row.series[i]);
    if (series.state != SeriesBook::Series::State::kLive) {
      ++s.filtered;
      continue;
    }
    chunk.values.push_back(static_cast<uint32_t>(builder.Add(book_, series, row.timestamp_ms, 0)));
    chunk.index.push_back(static_cast<uint32_t>(i));
    if (builder.samples() == options_.max_samples) finish();
  }
  finish();
}

void Encoder::Patch(Chunk& chunk, const SampleRow& row) {
  char time[16] = {};
  const char* end = proto::WriteVarint(time, static_cast<uint64_t>(row.timestamp_ms));
  const auto width = static_cast<size_t>(end - time);
  char* const bytes = chunk.bytes.data();
  const double* values = row.values.data() + chunk.first;
  for (size_t i = 0; i < chunk.values.size(); ++i) {
    char* const hole = bytes + chunk.values[i];
    const double v = chunk.index.empty() ? values[i] : row.values[chunk.index[i]];
    std::memcpy(hole, &v, sizeof v);
    std::memcpy(hole + RequestBuilder::kTimeOffset, time, width);
  }
}

void Encoder::SendPlan(Source& s, const SampleRow& row) {
  for (auto& chunk : s.chunks) Patch(chunk, row);
  if (s.direct) {
    for (auto& chunk : s.chunks)
      Emit(*s.lane, s.v2, static_cast<uint32_t>(chunk.values.size()), chunk.bytes, kRow);
    return;
  }
  Batch& batch = *batches_[*s.lane];
  std::lock_guard guard(batch.mutex);
  for (auto& chunk : s.chunks) {
    const auto samples = static_cast<uint32_t>(chunk.values.size());
    if (samples >= options_.direct_samples || s.v2 || batch.builder.v2() ||
        batch.builder.samples() + samples > options_.max_samples)
      FlushLocked(batch, *s.lane, kFull);
    if (samples >= options_.direct_samples || s.v2) {
      Emit(*s.lane, s.v2, samples, chunk.bytes, kRow);
      continue;
    }
    batch.builder.AddEncoded(chunk.bytes, samples);
    Pend(batch, samples);
    if (batch.builder.samples() >= options_.max_samples) FlushLocked(batch, *s.lane, kFull);
  }
}

uint32_t Encoder::OnTimed(SourceId source, std::span<const TimedSample> samples) {
  std::shared_lock lock(mutex_);
  Source& s = SourceOf(source, lock);
  if (!s.lane) s.lane = BatchLane(source);
  uint32_t filtered = 0;
  // A source with a lane of its own keeps its order: its samples make requests of their own.
  Batch own(v2());
  Batch& batch = s.direct ? own : *batches_[*s.lane];
  std::lock_guard guard(batch.mutex);
  for (const auto& sample : samples) {
    const auto& series = book_.Get(sample.series);
    if (series.state == SeriesBook::Series::State::kLive)
      AddSample(batch, *s.lane, series, sample.timestamp_ms, sample.value);
    else
      ++filtered;
  }
  if (s.direct) FlushLocked(batch, *s.lane, kRow);
  return filtered;
}

void Encoder::AddSample(Batch& batch, uint16_t lane, const SeriesBook::Series& series, UnixMs t,
                        double v) {
  if (batch.builder.v2() != v2() && batch.builder.empty()) batch.builder = RequestBuilder(v2());
  batch.builder.Add(book_, series, t, v);
  Pend(batch, 1);
  if (batch.builder.samples() >= options_.max_samples) FlushLocked(batch, lane, kFull);
}

void Encoder::Pend(Batch& batch, uint32_t samples) {
  pending_.fetch_add(samples, std::memory_order_relaxed);
  if (batch.builder.samples() != samples) return;  // not the first
  batch.deadline = options_.clock->Steady() + options_.deadline;
  if (on_pending_) on_pending_(batch.deadline);
}

void Encoder::FlushLocked(Batch& batch, uint16_t lane, size_t cause) {
  if (!batch.builder.empty()) {
    const uint32_t samples = batch.builder.samples();
    const bool was_v2 = batch.builder.v2();
    Emit(lane, was_v2, samples, batch.builder.Finish(), cause);
    pending_.fetch_sub(samples, std::memory_order_relaxed);
    batch.builder.Clear();
  }
  if (batch.builder.v2() != v2()) batch.builder = RequestBuilder(v2());
}

std::optional<Duration> Encoder::Flush(Duration now, bool all) {
  std::optional<Duration> next;
  for (size_t i = 0; i < batches_.size(); ++i) {
    Batch& batch = *batches_[i];
    std::lock_guard guard(batch.mutex);
    if (batch.builder.empty()) continue;
    if (all || batch.deadline <= now)
      FlushLocked(batch, static_cast<uint16_t>(i), kDeadline);
    else
      next = std::min(next.value_or(batch.deadline), batch.deadline);
  }
  return next;
}

void Encoder::Emit(uint16_t lane, bool is_v2, uint32_t samples, std::string_view request,
                   size_t cause) {
  const auto body = Compress(request);
  built_[cause]->Add();
  bytes_raw_->Add(request.size());
  bytes_sent_->Add(body.size());
  output_({is_v2 ? kRecordV2 : kRecordV1, lane, samples, body});
}

void Encoder::UseV1() { v2_.store(false, std::memory_order_relaxed); }

std::vector<std::shared_ptr<const MetricMetadata>> Encoder::Families() const {
  std::shared_lock lock(mutex_);
  return book_.Families();
}

}  // namespace picket::exporters::remote_write
