// SPDX-License-Identifier: Apache-2.0
#include "exporters/loki/encoder.h"

#include <snappy.h>

#include <cassert>

#include "core/proto/wire.h"

namespace picket::exporters::loki {
namespace {

using proto::BytesFieldSize;
using proto::VarintSize;
using proto::WireType;

constexpr int64_t kSecond = 1'000'000'000;

struct Time {
  uint64_t seconds;
  uint64_t nanos;
};

Time Split(UnixNs ns) {
  int64_t seconds = ns / kSecond;
  int64_t nanos = ns % kSecond;
  if (nanos < 0) {
    --seconds;
    nanos += kSecond;
  }
  return {static_cast<uint64_t>(seconds), static_cast<uint64_t>(nanos)};
}

size_t TimeSize(Time t) {
  return (t.seconds == 0 ? 0 : 1 + VarintSize(t.seconds)) +
         (t.nanos == 0 ? 0 : 1 + VarintSize(t.nanos));
}

size_t PairSize(const LogAttribute& a) {
  return BytesFieldSize(1, a.name.size()) + BytesFieldSize(2, a.value.size());
}

// Without the entry's own tag and length.
size_t PayloadSize(const LogBatch& batch, const LogRecord& r) {
  size_t size = BytesFieldSize(1, TimeSize(Split(r.time_ns))) + BytesFieldSize(2, r.length);
  for (uint32_t i = 0; i < r.attribute_count; ++i)
    size += BytesFieldSize(3, PairSize(batch.attributes[r.first_attribute + i]));
  return size;
}

char* WriteHeader(char* p, uint32_t number, uint64_t size) {
  return proto::WriteVarint(proto::WriteTag(p, number, WireType::kBytes), size);
}

char* WriteText(char* p, uint32_t number, std::string_view text) {
  return proto::WriteRaw(WriteHeader(p, number, text.size()), text);
}

char* WriteEntry(char* p, const LogBatch& batch, const char* arena, const LogRecord& r) {
  const Time t = Split(r.time_ns);
  p = WriteHeader(p, 2, PayloadSize(batch, r));
  p = WriteHeader(p, 1, TimeSize(t));
  if (t.seconds != 0) p = proto::WriteVarint(proto::WriteTag(p, 1, WireType::kVarint), t.seconds);
  if (t.nanos != 0) p = proto::WriteVarint(proto::WriteTag(p, 2, WireType::kVarint), t.nanos);
  p = WriteText(p, 2, {arena + r.offset, r.length});
  for (uint32_t i = 0; i < r.attribute_count; ++i) {
    const LogAttribute& a = batch.attributes[r.first_attribute + i];
    p = WriteHeader(p, 3, PairSize(a));
    p = WriteText(p, 1, a.name);
    p = WriteText(p, 2, a.value);
  }
  return p;
}

}  // namespace

size_t EntrySize(const LogBatch& batch, const LogRecord& record) {
  return BytesFieldSize(2, PayloadSize(batch, record));
}

void PushEncoder::AddStream(std::string_view labels_text, std::span<const Slice> slices) {
  size_t payload = BytesFieldSize(1, labels_text.size());
  for (const Slice& s : slices)
    for (size_t i = s.from; i < s.to; ++i) payload += EntrySize(*s.batch, s.batch->records[i]);
  const size_t before = raw_.size();
  const size_t total = BytesFieldSize(1, payload);
  raw_.Reserve(before + total);
  char* p = raw_.data() + before;
  p = WriteHeader(p, 1, payload);
  p = WriteText(p, 1, labels_text);
  for (const Slice& s : slices) {
    const char* const arena = s.batch->arena->data();
    for (size_t i = s.from; i < s.to; ++i) p = WriteEntry(p, *s.batch, arena, s.batch->records[i]);
  }
  // The sizes of the first pass are what the second has written.
  assert(p == raw_.data() + before + total);
  raw_.SetSize(before + total);
}

std::string PushEncoder::Compress() {
  packed_.Clear();
  packed_.Reserve(snappy::MaxCompressedLength(raw_.size()));
  size_t size = 0;
  snappy::RawCompress(raw_.data(), raw_.size(), packed_.data(), &size);
  return {packed_.data(), size};
}

std::string SnappyCompress(std::string_view raw) {
  std::string out;
  snappy::Compress(raw.data(), raw.size(), &out);
  return out;
}

std::string SnappyDecompress(std::string_view packed) {
  std::string out;
  if (!snappy::Uncompress(packed.data(), packed.size(), &out)) out.clear();
  return out;
}

std::vector<StreamView> ReadStreams(std::string_view raw) {
  std::vector<StreamView> out;
  for (proto::Reader r(raw); r.Next();) {
    if (!r.Is(1, WireType::kBytes)) continue;
    StreamView s;
    s.field = r.raw();
    for (proto::Reader f(r.bytes()); f.Next();) {
      if (f.Is(1, WireType::kBytes)) s.labels_text = f.bytes();
      if (f.Is(2, WireType::kBytes)) ++s.entries;
    }
    out.push_back(s);
  }
  return out;
}

namespace {

std::vector<Part> HalveStream(const StreamView& stream) {
  std::vector<Part> parts(2);
  proto::Reader outer(stream.field);
  outer.Next();
  std::string halves[2];
  uint64_t seen = 0;
  for (proto::Reader f(outer.bytes()); f.Next();) {
    if (!f.Is(2, WireType::kBytes)) continue;
    const size_t half = seen++ < stream.entries / 2 ? 0 : 1;
    halves[half] += f.raw();
    ++parts[half].lines;
  }
  for (size_t h = 0; h < 2; ++h) {
    std::string payload;
    proto::Writer(payload).PutBytes(1, stream.labels_text);
    payload += halves[h];
    proto::Writer(parts[h].raw).PutBytes(1, payload);
  }
  return parts;
}

}  // namespace

std::vector<Part> Halve(std::string_view raw) {
  const std::vector<StreamView> streams = ReadStreams(raw);
  if (streams.size() == 1 && streams[0].entries > 1) return HalveStream(streams[0]);
  if (streams.size() < 2) return {{std::string(raw), streams.empty() ? 0 : streams[0].entries}};
  std::vector<Part> parts(2);
  for (const StreamView& s : streams) {
    Part& part = parts[parts[0].raw.size() < raw.size() / 2 ? 0 : 1];
    part.raw += s.field;
    part.lines += s.entries;
  }
  if (parts[1].raw.empty()) {  // the last stream is most of it
    const StreamView& last = streams.back();
    parts[0].raw.resize(parts[0].raw.size() - last.field.size());
    parts[0].lines -= last.entries;
    parts[1] = {std::string(last.field), last.entries};
  }
  return parts;
}

}  // namespace picket::exporters::loki
