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
  if (!options_.v2) book_.KeepWireLabels();
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
  constexpr size_t kMany = 1'000;
  if (book_.unswept() >= kMany) Flush(Duration::max(), true);
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
  const bool large = row.series.size() >= options_.direct_samples;
  if (v2() && (s.direct || large)) return SendFromPlan(s, row);
  return s.direct ? SendV1(s, row) : Gather(s, row);
}

/// Builds a request once and keeps of it what stays.
class Encoder::ChunkMaker {
 public:
  ChunkMaker(const SeriesBook& book, UnixMs timestamp_ms) : book_(book), tail_(timestamp_ms) {}

  uint32_t samples() const { return builder_.samples(); }
  void Add(SeriesBook::Series series, uint32_t index) {
    values_.push_back(builder_.Add(book_, series, tail_, 0));
    ends_.push_back(builder_.series_bytes());
    index_.push_back(index);
  }
  Chunk Finish() {
    size_t begin = 0;
    const std::string_view request = builder_.Finish(&begin);
    const std::string_view series = request.substr(begin);
    Chunk chunk;
    chunk.head = request.substr(0, begin);
    chunk.samples = builder_.samples();
    std::string parts;
    const auto size = [&](size_t n) {
      char varint[10];
      parts.append(varint, proto::WriteVarint(varint, n));
    };
    size_t at = 0;
    for (size_t i = 0; i < values_.size(); ++i) {
      const auto before = series.substr(at, values_[i] - at);
      at = ends_[i];
      const size_t from = values_[i] + tail_.size();
      const auto behind = series.substr(from, at - from);
      size(before.size());
      size(behind.size());
      parts.append(before).append(behind);
      chunk.tails += before.size() + behind.size();
    }
    parts.append(kCopyStep, '\0');     // CopyInSteps reads too far
    chunk.parts = std::string(parts);  // no larger than it must be
    chunk.first = index_.front();
    if (index_.back() - chunk.first + 1 != index_.size()) {
      index_.shrink_to_fit();
      chunk.index = std::move(index_);
    }
    builder_.Clear();
    values_.clear();
    ends_.clear();
    index_.clear();
    return chunk;
  }

  static size_t Size(const char*& from) {
    const auto byte = static_cast<uint8_t>(*from++);
    if (byte < 128) [[likely]]
      return byte;
    uint64_t size = 0;
    from = proto::ReadVarint(from - 1, from + 9, size);
    return size;
  }

 private:
  const SeriesBook& book_;
  const RequestBuilder::SampleTail tail_;
  RequestBuilder builder_{true};
  std::vector<size_t> values_, ends_;
  std::vector<uint32_t> index_;
};

void Encoder::MakePlan(Source& s, const SampleRow& row) {
  plans_->Add();
  s.layout = row.layout;
  s.time_width = TimeWidth(row.timestamp_ms);
  s.chunks.clear();
  s.filtered = 0;
  ChunkMaker maker(book_, row.timestamp_ms);
  for (size_t i = 0; i < row.series.size(); ++i) {
    const SeriesBook::Series series = book_.Get(row.series[i]);
    if (!series.live()) {
      ++s.filtered;
      continue;
    }
    maker.Add(series, static_cast<uint32_t>(i));
    if (maker.samples() == options_.max_samples) s.chunks.push_back(maker.Finish());
  }
  if (maker.samples() > 0) s.chunks.push_back(maker.Finish());
  s.chunks.shrink_to_fit();
}

std::string_view Encoder::FillIn(const Chunk& chunk, const SampleRow& row) {
  thread_local std::unique_ptr<char[]> buffer;
  thread_local size_t capacity = 0;
  const RequestBuilder::SampleTail tail(row.timestamp_ms);
  const size_t size = chunk.head.size() + chunk.tails + chunk.samples * tail.size();
  const size_t most = size + kCopyStep + RequestBuilder::SampleTail::kMostBytes;
  if (most > capacity) buffer.reset(new char[capacity = most + most / 4]);
  std::memcpy(buffer.get(), chunk.head.data(), chunk.head.size());
  char* to = buffer.get() + chunk.head.size();
  const char* from = chunk.parts.data();
  const double* const values = row.values.data() + chunk.first;
  for (size_t i = 0; i < chunk.samples; ++i) {
    const size_t before = ChunkMaker::Size(from);
    const size_t behind = ChunkMaker::Size(from);
    CopyInSteps(to, from, before);
    to = tail.Write(to + before, chunk.index.empty() ? values[i] : row.values[chunk.index[i]]);
    if (behind != 0) CopyInSteps(to, from + before, behind);
    to += behind;
    from += before + behind;
  }
  return {buffer.get(), size};
}

uint32_t Encoder::SendFromPlan(Source& s, const SampleRow& row) {
  if (s.layout != row.layout || s.time_width != TimeWidth(row.timestamp_ms)) MakePlan(s, row);
  std::unique_lock<std::mutex> guard;
  if (!s.direct) {  // behind what is in its batch
    Batch& batch = *batches_[*s.lane];
    guard = std::unique_lock(batch.mutex);
    FlushLocked(batch, *s.lane, kFull);
  }
  for (const Chunk& chunk : s.chunks) Emit(*s.lane, true, chunk.samples, FillIn(chunk, row), kRow);
  return s.filtered;
}

uint32_t Encoder::SendV1(const Source& s, const SampleRow& row) {
  thread_local RequestBuilder builder(false);
  builder.Clear();
  const RequestBuilder::SampleTail tail(row.timestamp_ms);
  uint32_t filtered = 0;
  const auto send = [&] {
    Emit(*s.lane, false, builder.samples(), builder.Finish(), kRow);
    builder.Clear();
  };
  for (size_t i = 0; i < row.series.size(); ++i) {
    const SeriesBook::Series series = book_.Get(row.series[i]);
    if (!series.live()) {
      ++filtered;
      continue;
    }
    builder.Add(book_, series, tail, row.values[i]);
    if (builder.samples() == options_.max_samples) send();
  }
  if (!builder.empty()) send();
  return filtered;
}

uint32_t Encoder::Gather(const Source& s, const SampleRow& row) {
  Batch& batch = *batches_[*s.lane];
  std::lock_guard guard(batch.mutex);
  uint32_t filtered = 0;
  for (size_t i = 0; i < row.series.size(); ++i) {
    const SeriesBook::Series series = book_.Get(row.series[i]);
    if (series.live())
      AddSample(batch, *s.lane, series, row.timestamp_ms, row.values[i]);
    else
      ++filtered;
  }
  if (row.series.size() - filtered >= options_.direct_samples) FlushLocked(batch, *s.lane, kRow);
  return filtered;
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
    const SeriesBook::Series series = book_.Get(sample.series);
    if (series.live())
      AddSample(batch, *s.lane, series, sample.timestamp_ms, sample.value);
    else
      ++filtered;
  }
  if (s.direct) FlushLocked(batch, *s.lane, kRow);
  return filtered;
}

void Encoder::AddSample(Batch& batch, uint16_t lane, SeriesBook::Series series, UnixMs t,
                        double v) {
  if (batch.builder.v2() != v2()) FlushLocked(batch, lane, kFull);  // and goes over
  batch.builder.Add(book_, series, RequestBuilder::SampleTail(t), v);
  pending_.fetch_add(1, std::memory_order_relaxed);
  if (batch.builder.samples() == 1) {
    batch.deadline = options_.clock->Steady() + options_.deadline;
    if (on_pending_) on_pending_(batch.deadline);
  }
  if (batch.builder.samples() >= options_.max_samples) FlushLocked(batch, lane, kFull);
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

void Encoder::UseV1() {
  std::unique_lock lock(mutex_);
  if (!v2()) return;
  book_.KeepWireLabels();
  for (const auto& source : sources_)
    if (source) source->chunks = std::vector<Chunk>();
  v2_.store(false, std::memory_order_relaxed);
}

size_t Encoder::memory_bytes() const {
  std::shared_lock lock(mutex_);
  return book_.memory_bytes();
}

std::vector<std::shared_ptr<const MetricMetadata>> Encoder::Families() const {
  std::shared_lock lock(mutex_);
  return book_.Families();
}

}  // namespace picket::exporters::remote_write
