// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/request.h"

#include <snappy.h>

#include <map>

#include "core/proto/wire.h"

namespace picket::exporters::remote_write {
namespace {

using proto::Reader;
using proto::VarintSize;
using proto::WireType;
using proto::Writer;
using proto::WriteTag;
using proto::WriteVarint;

// Field numbers. A tag of a number below 16 is one byte.
constexpr uint32_t kV1TimeSeries = 1, kV1Metadata = 3;                 // WriteRequest
constexpr uint32_t kV1Labels = 1, kV1Samples = 2;                      // TimeSeries
constexpr uint32_t kLabelName = 1, kLabelValue = 2;                    // Label
constexpr uint32_t kV2Symbols = 4, kV2TimeSeries = 5;                  // Request
constexpr uint32_t kV2LabelRefs = 1, kV2Samples = 2, kV2Metadata = 5;  // TimeSeries
constexpr uint32_t kSampleValue = 1, kSampleTime = 2;                  // Sample, both protocols
constexpr uint32_t kMetaType = 1, kMetaHelpRef = 3, kMetaUnitRef = 4;  // v2 Metadata

size_t BytesFieldSize(size_t payload) { return 1 + VarintSize(payload) + payload; }

/// A sample up to its value. Both protocols have it alike.
char* WriteSampleHead(char* p, uint32_t number, size_t size) {
  p = WriteVarint(WriteTag(p, number, WireType::kBytes), size);
  return WriteTag(p, kSampleValue, WireType::kFixed64);
}

void Grow(std::string& s, size_t n) {
  // resize() would clear what is about to be written; capacity doubles by append's rule.
  if (s.capacity() < s.size() + n) s.reserve(std::max(s.capacity() * 2, s.size() + n));
}

// v1 numbers its types otherwise than v2 only in leaving out 0 = unspecified; both are MetricType's
// order.
uint64_t WireMetricType(MetricType type) { return static_cast<uint64_t>(type); }

}  // namespace

void RequestBuilder::Clear() {
  symbols_.clear();
  series_.clear();
  samples_ = 0;
  ++epoch_;
  next_local_ = 0;
  if (v2_) {
    Writer(symbols_).PutBytes(kV2Symbols, {});  // entry 0 is the empty text
    next_local_ = 1;
  }
}

uint32_t RequestBuilder::Local(const SeriesBook& book, Symbol s) {
  if (s == 0) return 0;
  if (s >= local_.size()) local_.resize(book.SymbolCount() + book.SymbolCount() / 4 + 1);
  if (local_[s] >> 32 == (epoch_ & UINT32_MAX)) return static_cast<uint32_t>(local_[s]);
  Writer(symbols_).PutBytes(kV2Symbols, book.Text(s));
  local_[s] = epoch_ << 32 | next_local_;
  return next_local_++;
}

size_t RequestBuilder::Add(const SeriesBook& book, SeriesBook::Series series,
                           const SampleTail& tail, double value) {
  ++samples_;
  return v2_ ? AddV2(book, series, tail, value) : AddV1(book, series, tail, value);
}

size_t RequestBuilder::AddV1(const SeriesBook& book, SeriesBook::Series series,
                             const SampleTail& tail, double value) {
  static_assert(SeriesBook::kReadAhead >= kCopyStep);
  constexpr size_t kHeaders = 32;  // of the series and of the sample
  const size_t begin = series_.size();
  size_t value_at = 0;
  const size_t most =
      begin + kHeaders + book.most_wire_bytes() + kCopyStep + SampleTail::kMostBytes;
  // Grows by doubling, and clears nothing.
  series_.resize_and_overwrite(most, [&](char* const data, size_t) {
    char* const header = data + begin;
    char* labels = header + 1 + length_width_;
    char* p = labels;
    book.ForEachWireLabel(series, [&](std::string_view label) {
      CopyInSteps(p, label.data(), label.size());
      p += label.size();
    });
    const size_t sample_size = 1 + tail.size();
    const size_t size = static_cast<size_t>(p - labels) + BytesFieldSize(sample_size);
    if (const size_t width = VarintSize(size); width != length_width_) [[unlikely]] {
      length_width_ = width;
      std::memmove(header + 1 + width, labels, static_cast<size_t>(p - labels));
      p = header + 1 + width + (p - labels);
    }
    WriteVarint(WriteTag(header, kV1TimeSeries, WireType::kBytes), size);
    p = WriteSampleHead(p, kV1Samples, sample_size);
    value_at = static_cast<size_t>(p - data);
    return static_cast<size_t>(tail.Write(p, value) - data);
  });
  return value_at;
}

size_t RequestBuilder::AddV2(const SeriesBook& book, SeriesBook::Series series,
                             const SampleTail& tail, double value) {
  constexpr size_t kPair = 10;
  size_t packed = 0;
  book.ForEachLabel(series, [&](Symbol n, Symbol v) {
    if (refs_.size() - packed < kPair) refs_.resize(refs_.size() * 2 + kPair);
    char* p = refs_.data() + packed;
    p = WriteVarint(p, Local(book, n));
    p = WriteVarint(p, Local(book, v));
    packed = static_cast<size_t>(p - refs_.data());
  });

  char meta[32];
  char* m = meta;
  const SeriesBook::Meta known = book.MetaOf(series);
  if (known.type != MetricType::kUnknown || known.help != 0 || known.unit != 0) {
    m = WriteVarint(WriteTag(m, kMetaType, WireType::kVarint), WireMetricType(known.type));
    if (known.help != 0)
      m = WriteVarint(WriteTag(m, kMetaHelpRef, WireType::kVarint), Local(book, known.help));
    if (known.unit != 0)
      m = WriteVarint(WriteTag(m, kMetaUnitRef, WireType::kVarint), Local(book, known.unit));
  }
  const auto meta_size = static_cast<size_t>(m - meta);
  const size_t sample_size = 1 + tail.size();
  const size_t size = BytesFieldSize(packed) + BytesFieldSize(sample_size) +
                      (meta_size > 0 ? BytesFieldSize(meta_size) : 0);
  Grow(series_, size + 16);
  Writer out(series_);
  out.PutHeader(kV2TimeSeries, size);
  out.PutBytes(kV2LabelRefs, {refs_.data(), packed});
  char sample[12 + SampleTail::kMostBytes];
  char* p = WriteSampleHead(sample, kV2Samples, sample_size);
  const size_t value_at = series_.size() + static_cast<size_t>(p - sample);
  series_.append(sample, tail.Write(p, value));
  if (meta_size > 0) out.PutBytes(kV2Metadata, {meta, meta_size});
  return value_at;
}

RequestBuilder::SampleTail::SampleTail(UnixMs timestamp_ms) {
  char* const p = WriteTag(time, kSampleTime, WireType::kVarint);
  time_size = static_cast<size_t>(WriteVarint(p, static_cast<uint64_t>(timestamp_ms)) - time);
}

std::string_view RequestBuilder::Finish(size_t* first_series) {
  if (first_series != nullptr) *first_series = symbols_.size();
  if (symbols_.empty()) return series_;
  symbols_.append(series_);
  series_.clear();
  return symbols_;
}

std::string_view Compress(std::string_view bytes) {
  thread_local std::unique_ptr<char[]> buffer;
  thread_local size_t capacity = 0;
  const size_t most = snappy::MaxCompressedLength(bytes.size());
  if (most > capacity) buffer.reset(new char[capacity = most + most / 4]);
  size_t size = 0;
  snappy::RawCompress(bytes.data(), bytes.size(), buffer.get(), &size);
  return {buffer.get(), size};
}

Result<std::string> Uncompress(std::string_view block) {
  constexpr size_t kMost = 256 << 20;
  size_t size = 0;
  std::string out;
  if (!snappy::GetUncompressedLength(block.data(), block.size(), &size) || size > kMost ||
      !snappy::Uncompress(block.data(), block.size(), &out))
    return Fail(ErrorKind::kCorrupt, "a queued request is no Snappy block");
  return out;
}

std::string EncodeMetadata(std::span<const std::shared_ptr<const MetricMetadata>> families) {
  std::string out;
  Writer w(out);
  for (const auto& m : families) {
    auto mark = w.Begin(kV1Metadata, 2);
    w.PutVarint(1, WireMetricType(m->type));
    w.PutBytes(2, m->family);
    if (!m->help.empty()) w.PutBytes(4, m->help);
    if (!m->unit.empty()) w.PutBytes(5, m->unit);
    w.End(mark);
  }
  return out;
}

namespace {

// The parts of a request, of either protocol.
struct Parts {
  std::vector<std::string_view> symbols;
  std::vector<std::string_view> series;  // payloads
  std::vector<uint32_t> samples;         // by series
};

Result<Parts> Parse(bool v2, std::string_view request) {
  Parts parts;
  Reader r(request);
  while (r.Next()) {
    if (v2 && r.Is(kV2Symbols, WireType::kBytes)) parts.symbols.push_back(r.bytes());
    if (!r.Is(v2 ? kV2TimeSeries : kV1TimeSeries, WireType::kBytes)) continue;
    uint32_t samples = 0;
    Reader s(r.bytes());
    while (s.Next()) samples += s.Is(2, WireType::kBytes) ? 1 : 0;
    parts.series.push_back(r.bytes());
    parts.samples.push_back(samples);
  }
  if (!r.ok()) return Fail(ErrorKind::kCorrupt, "a queued request is no protobuf message");
  return parts;
}

// Only the symbols that these series use, numbered anew.
class Regather {
 public:
  explicit Regather(const Parts& parts) : parts_(parts) {
    Writer(symbols_).PutBytes(kV2Symbols, {});
    local_[0] = 0;
  }
  void Add(std::string_view series) {
    Writer out(series_);
    auto mark = out.Begin(kV2TimeSeries, 1);
    Reader r(series);
    while (r.Next()) {
      if (r.Is(kV2LabelRefs, WireType::kBytes)) {
        std::string packed;
        uint64_t ref = 0;
        const auto refs = r.bytes();
        for (const char *p = refs.data(), *end = p + refs.size();
             p != end && (p = proto::ReadVarint(p, end, ref));)
          AppendVarint(packed, Local(ref));
        out.PutBytes(kV2LabelRefs, packed);
      } else if (r.Is(kV2Metadata, WireType::kBytes)) {
        auto meta = out.Begin(kV2Metadata, 1);
        for (Reader m(r.bytes()); m.Next();) {
          const bool is_ref = m.number() == kMetaHelpRef || m.number() == kMetaUnitRef;
          if (m.type() == WireType::kVarint)
            out.PutVarint(m.number(), is_ref ? Local(m.value()) : m.value());
        }
        out.End(meta);
      } else {
        out.PutRaw(r.raw());
      }
    }
    out.End(mark);
  }
  std::string Take() { return symbols_ + series_; }

 private:
  static void AppendVarint(std::string& out, uint64_t v) {
    char buffer[10];
    out.append(buffer, WriteVarint(buffer, v));
  }
  uint64_t Local(uint64_t ref) {
    if (ref >= parts_.symbols.size()) return 0;
    auto [it, added] = local_.emplace(ref, local_.size());
    if (added) Writer(symbols_).PutBytes(kV2Symbols, parts_.symbols[ref]);
    return it->second;
  }
  const Parts& parts_;
  std::string symbols_, series_;
  std::map<uint64_t, uint64_t> local_;
};

}  // namespace

Result<std::vector<std::pair<std::string, uint32_t>>> SplitRequest(uint16_t type,
                                                                   std::string_view request) {
  const bool v2 = type == kRecordV2;
  PICKET_ASSIGN(const Parts parts, Parse(v2, request));
  if (parts.series.size() < 2)
    return Fail(ErrorKind::kInvalidArgument, "one series alone is too large");
  std::vector<std::pair<std::string, uint32_t>> halves;
  const size_t middle = parts.series.size() / 2;
  for (auto [from, to] : {std::pair<size_t, size_t>{0, middle}, {middle, parts.series.size()}}) {
    std::string bytes;
    uint32_t samples = 0;
    Regather gather(parts);
    for (size_t i = from; i < to; ++i) {
      samples += parts.samples[i];
      if (v2)
        gather.Add(parts.series[i]);
      else
        Writer(bytes).PutBytes(kV1TimeSeries, parts.series[i]);
    }
    halves.emplace_back(v2 ? gather.Take() : std::move(bytes), samples);
  }
  return halves;
}

Result<std::string> TranslateToV1(std::string_view request) {
  PICKET_ASSIGN(const Parts parts, Parse(true, request));
  std::string out;
  Writer w(out);
  for (const auto series : parts.series) {
    auto mark = w.Begin(kV1TimeSeries, 2);
    std::vector<uint64_t> refs;
    Reader r(series);
    while (r.Next()) {
      if (!r.Is(kV2LabelRefs, WireType::kBytes)) continue;
      uint64_t ref = 0;
      const auto packed = r.bytes();
      for (const char *p = packed.data(), *end = p + packed.size();
           p != end && (p = proto::ReadVarint(p, end, ref));)
        refs.push_back(ref);
    }
    for (size_t i = 0; i + 1 < refs.size(); i += 2) {
      if (refs[i] >= parts.symbols.size() || refs[i + 1] >= parts.symbols.size())
        return Fail(ErrorKind::kCorrupt, "a label refers to no symbol");
      auto label = w.Begin(kV1Labels, 1);
      w.PutBytes(kLabelName, parts.symbols[refs[i]]);
      w.PutBytes(kLabelValue, parts.symbols[refs[i + 1]]);
      w.End(label);
    }
    for (Reader s(series); s.Next();) {
      if (!s.Is(kV2Samples, WireType::kBytes)) continue;
      auto sample = w.Begin(kV1Samples, 1);
      for (Reader f(s.bytes()); f.Next();)
        if (f.number() == kSampleValue || f.number() == kSampleTime)
          w.PutRaw(f.raw());  // v1 has no start time
      w.End(sample);
    }
    w.End(mark);
  }
  return out;
}

}  // namespace picket::exporters::remote_write
