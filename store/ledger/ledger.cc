// SPDX-License-Identifier: Apache-2.0
#include "store/ledger/ledger.h"

#include <algorithm>

#include "store/ledger/ledger_file.h"
#include "store/ledger/metrics.h"

namespace picket::store::ledger {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Milliseconds kSlot[kResolutions] = {seconds(10), minutes(1), minutes(10)};
constexpr Milliseconds kSpan[2] = {std::chrono::hours(1), std::chrono::hours(24)};
/// A target's clock may be ahead a little; far-off times would push the whole ring out.
constexpr Milliseconds kFuture = minutes(10);

std::unique_ptr<Ring> MakeRing(int resolution, Milliseconds keep) {
  const Milliseconds span = resolution < 2 ? kSpan[resolution] : keep;
  // One more than the span: a window's first and last slot are both partial.
  return std::make_unique<Ring>(kSlot[resolution], span / kSlot[resolution] + 1);
}

}  // namespace

Ledger::Ledger(LedgerOptions options) : options_(std::move(options)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::Open(LedgerOptions options) {
  std::unique_ptr<Ledger> ledger(new Ledger(std::move(options)));
  Telemetry* t = ledger->options_.telemetry;
  ledger->rejected_ = t != nullptr ? t->AddCounter(kRejectedTotal) : std::make_shared<Counter>();
  ledger->damaged_ = t != nullptr ? t->AddCounter(kDamagedPartsTotal) : std::make_shared<Counter>();
  for (int r = 0; r < kResolutions; ++r)
    ledger->shape_[static_cast<size_t>(r)] = MakeRing(r, ledger->options_.keep);
  if (!ledger->options_.data_dir.empty()) {
    PICKET_ASSIGN(ledger->file_, LedgerFile::Open(ledger->options_.data_dir, *ledger));
    ledger->damaged_->Add(ledger->recovery_.damaged_parts);
  }
  return ledger;
}

Ledger::Book& Ledger::BookOf(Slo& slo, std::string_view agent) {
  auto it = slo.books.find(agent);
  if (it == slo.books.end()) {
    it = slo.books.emplace(std::string(agent), Book{}).first;
    for (int r = 0; r < kResolutions; ++r)
      it->second.rings[static_cast<size_t>(r)] = MakeRing(r, options_.keep);
  }
  return it->second;
}

SloId Ledger::OpenLocked(std::string_view name) {
  const auto it = by_name_.find(name);
  if (it != by_name_.end()) return it->second;
  const auto id = static_cast<SloId>(slos_.size());
  slos_.push_back(std::make_unique<Slo>());
  slos_.back()->name = name;
  by_name_.emplace(std::string(name), id);
  return id;
}

SloId Ledger::OpenSlo(std::string_view name) {
  std::lock_guard lock(mutex_);
  return OpenLocked(name);
}

std::vector<std::string> Ledger::Slos() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  out.reserve(by_name_.size());
  for (const auto& [name, id] : by_name_) out.push_back(name);
  return out;
}

void Ledger::RemoveSlo(std::string_view name) {
  std::lock_guard lock(mutex_);
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return;
  if (file_ != nullptr) file_->LogRemoved(name);
  slos_[it->second].reset();
  by_name_.erase(it);
}

bool Ledger::AddLocked(Slo& slo, std::string_view agent, UnixMs at, const Counts& counts) {
  Book& book = BookOf(slo, agent);
  Ring& coarse = *book.rings[2];
  if (coarse.head() != INT64_MIN && coarse.SlotOf(at) <= coarse.head() - coarse.slots())
    return false;
  // A finer ring that is already past `at` has no window left that could ask for it.
  for (auto& ring : book.rings) ring->Add(ring->SlotOf(at), counts);
  return true;
}

bool Ledger::Add(SloId id, UnixMs at, const Counts& counts) {
  std::lock_guard lock(mutex_);
  Slo* slo = At(id);
  if (slo == nullptr || at > options_.clock->NowMs() + kFuture.count() ||
      !AddLocked(*slo, options_.agent, at, counts)) {
    rejected_->Add(counts.total);
    return false;
  }
  if (file_ != nullptr) file_->LogAdded(slo->name, at, counts);
  return true;
}

bool Ledger::AddOver(SloId id, UnixMs from_ms, UnixMs to_ms, uint64_t good, uint64_t total) {
  if (to_ms <= from_ms) return Add(id, to_ms, {good, total, 0});
  const int64_t step = kSlot[0].count();
  const auto length = static_cast<unsigned __int128>(to_ms - from_ms);
  // Shares of the running sum, so that rounding never loses an event.
  uint64_t good_done = 0, total_done = 0;
  bool ok = true;
  for (UnixMs at = from_ms; at < to_ms;) {
    const UnixMs next = std::min<UnixMs>(to_ms, (Shape(Resolution::k10s).SlotOf(at) + 1) * step);
    const auto part = static_cast<unsigned __int128>(next - from_ms);
    const auto good_until = static_cast<uint64_t>(part * good / length);
    const auto total_until = static_cast<uint64_t>(part * total / length);
    if (good_until > good_done || total_until > total_done)
      ok &= Add(id, at, {good_until - good_done, total_until - total_done, 0});
    good_done = good_until;
    total_done = total_until;
    at = next;
  }
  return ok;
}

Status Ledger::Commit() {
  std::lock_guard lock(mutex_);
  return file_ == nullptr ? Status{} : file_->Commit(*this);
}

WindowSum Ledger::SumLocked(const Slo& slo, Resolution resolution, int64_t first, int64_t last,
                            bool local) const {
  WindowSum out;
  const int64_t length = Shape(resolution).slot_ms();
  out.from_ms = first * length;
  out.to_ms = (last + 1) * length;
  for (const auto& [agent, book] : slo.books) {
    if (local && agent != options_.agent) continue;
    out.counts += book.rings[static_cast<size_t>(resolution)]->Sum(first, last);
  }
  return out;
}

WindowSum Ledger::WindowOf(SloId id, UnixMs now, Milliseconds window, bool local) const {
  std::lock_guard lock(mutex_);
  const Slo* slo = At(id);
  if (slo == nullptr) return {};
  const auto r = window <= kSpan[0]   ? Resolution::k10s
                 : window <= kSpan[1] ? Resolution::k1m
                                      : Resolution::k10m;
  const Ring& shape = Shape(r);
  const int64_t last = shape.SlotOf(now);
  const int64_t n = std::max<int64_t>(1, window.count() / shape.slot_ms());
  return SumLocked(*slo, r, last - n + 1, last, local);
}

WindowSum Ledger::Window(SloId slo, UnixMs now, Milliseconds window) const {
  return WindowOf(slo, now, window, false);
}

WindowSum Ledger::LocalWindow(SloId slo, UnixMs now, Milliseconds window) const {
  return WindowOf(slo, now, window, true);
}

WindowSum Ledger::Since(SloId id, UnixMs from_ms, UnixMs now) const {
  std::lock_guard lock(mutex_);
  const Slo* slo = At(id);
  if (slo == nullptr) return {};
  const Ring& shape = Shape(Resolution::k10m);
  return SumLocked(*slo, Resolution::k10m, shape.SlotOf(from_ms), shape.SlotOf(now), false);
}

void Ledger::ForEachSlot(SloId id, Resolution resolution, UnixMs from_ms,
                         const std::function<void(UnixMs, const Counts&)>& fn) const {
  std::map<int64_t, Counts> sums;
  const Ring& shape = Shape(resolution);
  {
    std::lock_guard lock(mutex_);
    const Slo* slo = At(id);
    if (slo == nullptr) return;
    for (const auto& [agent, book] : slo->books)
      book.rings[static_cast<size_t>(resolution)]->ForEach(
          shape.SlotOf(from_ms), [&](int64_t slot, const Counts& c) { sums[slot] += c; });
  }
  for (const auto& [slot, counts] : sums) fn(slot * shape.slot_ms(), counts);
}

void Ledger::Export(UnixMs since_ms, const std::function<void(const LedgerSlot&)>& fn) const {
  std::lock_guard lock(mutex_);
  for (const auto& slo : slos_) {
    if (slo == nullptr) continue;
    const auto book = slo->books.find(options_.agent);
    if (book == slo->books.end()) continue;
    for (int r = 0; r < kResolutions; ++r) {
      const Ring& ring = *book->second.rings[static_cast<size_t>(r)];
      ring.ForEach(ring.SlotOf(since_ms), [&](int64_t slot, const Counts& c) {
        fn({slo->name, options_.agent, static_cast<Resolution>(r), slot * ring.slot_ms(), c});
      });
    }
  }
}

bool Ledger::Import(const LedgerSlot& slot) {
  std::lock_guard lock(mutex_);
  if (slot.agent == options_.agent || slot.start_ms > options_.clock->NowMs() + kFuture.count())
    return false;
  Slo& slo = *slos_[OpenLocked(slot.slo)];
  Ring& ring = *BookOf(slo, slot.agent).rings[static_cast<size_t>(slot.resolution)];
  if (!ring.Raise(ring.SlotOf(slot.start_ms), slot.counts)) return false;
  if (file_ != nullptr) file_->LogImported(slot);
  return true;
}

std::optional<RawCounter> Ledger::Raw(SloId id, uint64_t key) const {
  std::lock_guard lock(mutex_);
  const Slo* slo = At(id);
  if (slo == nullptr) return std::nullopt;
  const auto it = slo->raw.find(key);
  if (it == slo->raw.end()) return std::nullopt;
  return it->second;
}

void Ledger::SetRaw(SloId id, uint64_t key, const RawCounter& raw) {
  std::lock_guard lock(mutex_);
  Slo* slo = At(id);
  if (slo == nullptr) return;
  slo->raw[key] = raw;
  if (file_ != nullptr) file_->LogRaw(slo->name, key, &raw);
}

void Ledger::EraseRaw(SloId id, uint64_t key) {
  std::lock_guard lock(mutex_);
  Slo* slo = At(id);
  if (slo == nullptr || slo->raw.erase(key) == 0) return;
  if (file_ != nullptr) file_->LogRaw(slo->name, key, nullptr);
}

size_t Ledger::memory_bytes() const {
  std::lock_guard lock(mutex_);
  size_t n = 0;
  for (const auto& slo : slos_) {
    if (slo == nullptr) continue;
    n += sizeof(Slo) + slo->raw.size() * 80;
    for (const auto& [agent, book] : slo->books)
      for (const auto& ring : book.rings) n += ring->memory_bytes();
  }
  return n;
}

uint64_t Ledger::disk_bytes() const {
  std::lock_guard lock(mutex_);
  return file_ == nullptr ? 0 : file_->bytes();
}

}  // namespace picket::store::ledger
