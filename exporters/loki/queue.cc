// SPDX-License-Identifier: Apache-2.0
#include "exporters/loki/queue.h"

#include <algorithm>

namespace picket::exporters::loki {
namespace {

constexpr uint64_t kStreamHeader = 12;  // at most, below 2 GiB

std::string Render(const Labels& labels) {
  std::string out = "{";
  for (const auto& [name, value] : labels) {
    if (out.size() > 1) out += ", ";
    out += name;
    out += "=\"";
    for (const char c : value) {
      if (c == '\n') {
        out += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out += '}';
}

}  // namespace

std::string StreamQueue::TextOf(const LogStream& stream) const {
  if (extra_.empty() && !stream.labels.empty()) return stream.labels_text;
  LabelsBuilder labels(stream.labels);
  for (const auto& [name, value] : extra_)
    if (labels.Get(name).empty()) labels.Set(name, value);
  // Loki refuses a stream without any.
  if (labels.pairs().empty()) labels.Set("job", "picket");
  return Render(labels.Build());
}

void StreamQueue::Add(const LogBatch& batch, Duration now) {
  if (batch.records.empty()) return;
  Item item;
  item.delivery = std::make_shared<Delivery>(batch.receipt);
  auto copy = std::make_shared<LogBatch>();
  copy->stream = batch.stream;
  copy->arena = batch.arena;
  copy->records = batch.records;
  copy->attributes = batch.attributes;
  for (const LogRecord& r : copy->records) item.bytes += EntrySize(*copy, r);
  item.batch = std::move(copy);
  item.number = next_number_++;
  item.arrived = now;
  const uint64_t id = batch.stream->id;
  Stream& stream = streams_[id];
  if (stream.labels_text.empty()) stream.labels_text = TextOf(*batch.stream);
  lines_ += batch.records.size();
  bytes_ += item.bytes;
  stream.bytes += item.bytes;
  const uint64_t added = item.bytes;
  stream.items.push_back(std::move(item));
  if (stream.busy) return;
  if (stream.items.size() == 1)
    MakeReady(id, stream);
  else
    ready_bytes_ += added;
}

void StreamQueue::MakeReady(uint64_t id, Stream& stream) {
  ready_.insert({stream.items.front().number, id});
  ready_bytes_ += stream.bytes;
}

std::optional<Duration> StreamQueue::OldestReady() const {
  if (ready_.empty()) return std::nullopt;
  return streams_.at(ready_.begin()->second).items.front().arrived;
}

Selection StreamQueue::Take(uint64_t limit) {
  Selection out;
  uint64_t headers = 0;  // tags, lengths and labels of the streams
  while (!ready_.empty() && out.held_bytes + headers < limit) {
    const uint64_t id = ready_.begin()->second;
    Stream& stream = streams_.at(id);
    ready_.erase(ready_.begin());
    ready_bytes_ -= stream.bytes;
    stream.busy = true;
    headers += stream.labels_text.size() + kStreamHeader;
    Selection::Stream taken{id, stream.labels_text, {}};
    while (!stream.items.empty()) {
      Item& item = stream.items.front();
      const auto& records = item.batch->records;
      const size_t from = item.next;
      uint64_t bytes = 0;
      while (item.next < records.size()) {
        const uint64_t size = EntrySize(*item.batch, records[item.next]);
        // A line of its own may pass the limit; it cannot be cut.
        if (headers + out.held_bytes + bytes + size > limit && out.lines + (item.next - from) > 0)
          break;
        bytes += size;
        ++item.next;
      }
      if (item.next == from) break;
      taken.slices.push_back({item.batch, from, item.next});
      item.delivery->Open();
      out.deliveries.push_back(item.delivery);
      out.lines += item.next - from;
      out.held_bytes += bytes;
      item.bytes -= bytes;
      stream.bytes -= bytes;
      if (item.next < records.size()) break;
      item.delivery->Close();
      stream.items.pop_front();
    }
    if (taken.slices.empty()) {  // no room was left for its first line
      stream.busy = false;
      MakeReady(id, stream);
      break;
    }
    const bool cut = !stream.items.empty();
    out.streams.push_back(std::move(taken));
    if (cut) break;
  }
  bytes_ -= out.held_bytes;
  lines_ -= out.lines;
  return out;
}

void StreamQueue::Release(uint64_t id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  it->second.busy = false;
  if (it->second.items.empty())
    streams_.erase(it);
  else
    MakeReady(id, it->second);
}

const std::string* StreamQueue::LabelsText(uint64_t stream) const {
  const auto it = streams_.find(stream);
  return it == streams_.end() ? nullptr : &it->second.labels_text;
}

bool StreamQueue::SameStream(std::string_view labels_text, std::string_view text) {
  // Loki adds labels of its own, such as service_name: every pair of ours must be among them.
  labels_text.remove_prefix(1);
  while (labels_text.size() > 1) {
    size_t end = labels_text.find("=\"");
    if (end == std::string_view::npos) return false;
    for (end += 2; end < labels_text.size() && labels_text[end] != '"'; ++end)
      if (labels_text[end] == '\\') ++end;
    if (end >= labels_text.size()) return false;
    const std::string_view pair = labels_text.substr(0, end + 1);
    const size_t at = text.find(pair);
    if (at == std::string_view::npos || at == 0 || (text[at - 1] != '{' && text[at - 1] != ' '))
      return false;
    labels_text.remove_prefix(end + 1);
    if (labels_text.starts_with(", ")) labels_text.remove_prefix(2);
  }
  return true;
}

uint64_t StreamQueue::Clear() {
  const uint64_t lines = lines_;
  streams_.clear();
  ready_.clear();
  ready_bytes_ = bytes_ = lines_ = 0;
  return lines;
}

}  // namespace picket::exporters::loki
