// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/lines.h"

#include <algorithm>
#include <cstring>

namespace picket::collectors::logs {

struct LineAssembler::Pass {
  std::string& arena;
  size_t data_end;  // records in [0, data_end) are in place, the rest is in `extra`
  std::string extra;
  const Input& in;
  RecordLists& out;
  LineCounts& counts;
};

size_t LineAssembler::Feed(std::string& arena, const Input& in, RecordLists& out,
                           LineCounts& counts) {
  Pass pass{arena, arena.size(), {}, in, out, counts};
  const char* const data = arena.data() + in.begin;
  const char* const end = arena.data() + arena.size();
  const char* p = data;
  auto offset_of = [&](const char* q) { return in.at.offset + static_cast<uint64_t>(q - data); };
  while (p < end) {
    if (*p == '\0' && !skipping_) {
      const char* const hole = p;
      while (p < end && *p == '\0') ++p;
      counts.nul_bytes += static_cast<uint64_t>(p - hole);
      continue;
    }
    const char* newline =
        static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
    if (newline == nullptr) {
      const auto rest = static_cast<size_t>(end - p);
      if (skipping_) {
        p = end;
      } else if (rest > max_line_ || in.last) {
        // Past the limit its end is not waited for; the rest of it is skipped when it comes.
        Line(pass, {p, rest}, offset_of(p), offset_of(end));
        skipping_ = !in.last;
        p = end;
      }
      break;
    }
    if (skipping_) {
      skipping_ = false;
    } else {
      Line(pass, {p, static_cast<size_t>(newline - p)}, offset_of(p), offset_of(newline + 1));
    }
    p = newline + 1;
  }
  if (!pass.extra.empty()) arena.append(pass.extra);
  return static_cast<size_t>(p - data);
}

bool LineAssembler::IsCri(std::string_view first_line) {
  if (format_ == Format::kAuto)
    format_ = cri_.Parse(first_line).has_value() ? Format::kCri : Format::kPlain;
  return format_ == Format::kCri;
}

void LineAssembler::Line(Pass& pass, std::string_view line, uint64_t line_start,
                         uint64_t line_end) {
  if (format_ == Format::kCri || (format_ == Format::kAuto && IsCri(line))) {
    if (const auto parsed = cri_.Parse(line)) {
      last_time_ = parsed->time_ns;
      return Cri(pass, *parsed, line_start, line_end);
    }
    if (line.empty()) return;
    ++pass.counts.unparsed;
    if (line_end > pass.in.done)
      Emit(pass, Origin::kWhole, last_time_ == 0 ? pass.in.now : last_time_, line);
    return;
  }
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  // One nanosecond apart, so that equal lines of one read stay different entries for a backend
  // that drops repeated ones, and stay in order.
  last_time_ = std::max(last_time_ + 1, pass.in.now);
  if (line_end > pass.in.done) Emit(pass, Origin::kWhole, last_time_, line);
}

void LineAssembler::Cri(Pass& pass, const CriLine& line, uint64_t line_start, uint64_t line_end) {
  Join& join = joins_[static_cast<size_t>(line.origin)];
  if (!line.partial && !join.open) {
    if (line_end > pass.in.done) Emit(pass, line.origin, line.time_ns, line.message);
    return;
  }
  if (!join.open) {
    join.open = true;
    join.cut = false;
    join.text.clear();
    join.time_ns = line.time_ns;
    join.start = {pass.in.at.generation, line_start};
  }
  join.since = pass.in.steady;
  const size_t room = max_line_ - std::min(max_line_, join.text.size());
  join.cut |= line.message.size() > room;
  join.text.append(line.message.substr(0, room));
  if (line.partial) return;
  if (line_end > pass.in.done) return CloseJoin(pass, line.origin);
  join.open = false;
}

void LineAssembler::CloseJoin(Pass& pass, Origin origin) {
  Join& join = joins_[static_cast<size_t>(origin)];
  join.open = false;
  if (join.cut) {
    EmitCut(pass, origin, join.time_ns, join.text);
  } else {
    pass.out[static_cast<size_t>(origin)].push_back(
        {join.time_ns, static_cast<uint32_t>(pass.data_end + pass.extra.size()),
         static_cast<uint32_t>(join.text.size()), 0, 0});
    pass.extra += join.text;
  }
  if (join.text.capacity() > 64 * 1024) join.text = {};
}

void LineAssembler::Emit(Pass& pass, Origin origin, UnixNs time, std::string_view text) {
  if (text.size() > max_line_) return EmitCut(pass, origin, time, text);
  pass.out[static_cast<size_t>(origin)].push_back(
      {time, static_cast<uint32_t>(text.data() - pass.arena.data()),
       static_cast<uint32_t>(text.size()), 0, 0});
}

void LineAssembler::EmitCut(Pass& pass, Origin origin, UnixNs time, std::string_view text) {
  ++pass.counts.truncated;
  text = text.substr(0, max_line_ - std::min(max_line_, kTruncatedMark.size()));
  pass.out[static_cast<size_t>(origin)].push_back(
      {time, static_cast<uint32_t>(pass.data_end + pass.extra.size()),
       static_cast<uint32_t>(text.size() + kTruncatedMark.size()), 0, 0});
  pass.extra += text;
  pass.extra += kTruncatedMark;
}

void LineAssembler::FlushOpen(std::string& arena, Duration older_than, RecordLists& out,
                              LineCounts& counts) {
  const Input none;
  Pass pass{arena, arena.size(), {}, none, out, counts};
  for (size_t i = 0; i < joins_.size(); ++i)
    if (joins_[i].open && joins_[i].since <= older_than) CloseJoin(pass, static_cast<Origin>(i));
  arena.append(pass.extra);
}

std::optional<Place> LineAssembler::OldestOpen() const {
  std::optional<Place> oldest;
  for (const Join& j : joins_)
    if (j.open && (!oldest || j.start < *oldest)) oldest = j.start;
  return oldest;
}

}  // namespace picket::collectors::logs
