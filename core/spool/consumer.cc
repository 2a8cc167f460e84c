// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/spool/impl.h"

namespace picket::spool {
namespace {

// A bad sector must not stop a lane for ever, a disk that hiccups must not cost a queue.
constexpr uint32_t kReadTries = 5;

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= 128 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") ==
             std::string_view::npos;
}

}  // namespace

Result<std::shared_ptr<Consumer::State>> Spool::Impl::OpenState(std::string name,
                                                                std::shared_ptr<Balance> balance) {
  if (!IsName(name))
    return Fail(ErrorKind::kInvalidArgument, fmt::format("'{}' is no name for a cursor", name));
  std::lock_guard lock(mutex_);
  auto it = consumers_.find(name);
  if (it == consumers_.end()) {
    auto state = NewState(name);
    if (consumers_.empty()) {
      Attach(*state);
    } else {
      state->settled.fill(next_seq_);
    }
    if (!memory()) {
      state->path = options_.directory + "/cursor-" + name;
      if (auto file = options_.files->Open(state->path, true))
        state->cursor = std::move(*file);
      else
        NoteError(file.error());
    }
    it = consumers_.emplace(std::move(name), std::move(state)).first;
  }
  Consumer::State& state = *it->second;
  if (state.open)
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("cursor '{}' is open already", state.name));
  state.open = true;
  state.first_new_seq = next_seq_;
  if (state.balance != balance) {
    CountRestored(state, *balance);
    state.balance = std::move(balance);
  }
  Persist(state);
  return it->second;
}

void Spool::Impl::CountRestored(Consumer::State& state, Balance& balance) {
  // What this process had queued before, say until a reload, is in already.
  const auto known = static_cast<uint64_t>(std::max<int64_t>(balance.Read().queued(), 0));
  if (state.items >= known)
    balance.In(state.items - known);
  else
    balance.Drop(DropReason::kShutdown, known - state.items,
                 "was queued in memory when its queue was closed");
  for (const auto& d : damages_) {
    if (state.balance || state.LowestSettled() >= d.to_seq) continue;
    balance.In(d.items);
    balance.Drop(DropReason::kCorrupt, d.items, d.detail);
  }
  for (const auto& [reason, items] : std::exchange(state.lost_unopened, {})) {
    balance.In(items);
    balance.Drop(reason, items, "while its destination was not configured");
  }
}

std::vector<std::pair<std::string, uint64_t>> Spool::Impl::RetireClosed() {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, uint64_t>> retired;
  for (auto it = consumers_.begin(); it != consumers_.end();) {
    if (it->second->open) {
      ++it;
      continue;
    }
    const auto& state = *it->second;
    retired.emplace_back(state.name, state.items);
    if (state.balance)
      state.balance->Drop(DropReason::kFiltered, state.items, "its destination was removed");
    if (!state.path.empty()) (void)options_.files->Remove(state.path);
    it = consumers_.erase(it);
  }
  if (!retired.empty()) Release();
  return retired;
}

std::vector<Spool::Unread> Spool::Impl::Closed() const {
  std::lock_guard lock(mutex_);
  std::vector<Unread> out;
  for (const auto& [name, state] : consumers_)
    if (!state->open) out.push_back({name, state->records, state->items, state->bytes});
  return out;
}

void Spool::Impl::RetireDrained() {
  std::lock_guard lock(mutex_);
  const size_t retired = std::erase_if(consumers_, [&](const auto& entry) {
    const auto& state = *entry.second;
    if (state.open || state.records > 0 || !state.lost_unopened.empty()) return false;
    if (!state.path.empty()) (void)options_.files->Remove(state.path);
    return true;
  });
  if (retired > 0) Release();
}

std::optional<Entry> Spool::Impl::Lend(Consumer::State& state, uint16_t lane,
                                       std::shared_ptr<File>& file) {
  std::lock_guard lock(mutex_);
  auto& out = state.out[lane];
  if (closed_ || out.active || state.heads[lane] == 0) return std::nullopt;
  const Segment* segment = Find(state.heads[lane]);
  if (segment == nullptr) return std::nullopt;
  out.active = true;
  out.evicted = false;
  file = segment->file;
  return segment->entries[state.heads[lane] - segment->base];
}

bool Spool::Impl::Settle(Consumer::State& state, const Entry& entry) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  auto& out = state.out[entry.lane];
  if (!out.evicted) {
    if (const Segment* s = Find(state.heads[entry.lane]))
      state.heads[entry.lane] = s->entries[state.heads[entry.lane] - s->base].next;
  }
  out = {};
  state.settled[entry.lane] = std::max(state.settled[entry.lane], entry.seq + 1);
  state.records -= 1, state.items -= entry.items, state.bytes -= entry.length;
  Persist(state);
  Release();
  return true;
}

std::optional<DropReason> Spool::Impl::PutBack(Consumer::State& state, const Entry& entry) {
  std::function<void()> waker;
  std::optional<DropReason> evicted;
  {
    std::lock_guard lock(mutex_);
    auto& out = state.out[entry.lane];
    if (out.evicted && !closed_) evicted = out.reason;
    out.active = out.evicted = false;
    if (evicted) state.records -= 1, state.items -= entry.items, state.bytes -= entry.length;
    waker = state.waker;
  }
  if (waker) waker();
  return evicted;
}

void Spool::Impl::NoteDamaged() {
  std::lock_guard lock(mutex_);
  ++damaged_records_;
}

// Two slots in turn, so that a write that is cut short leaves the other one.
void Spool::Impl::Persist(Consumer::State& state) {
  for (uint16_t lane = 0; lane < kLanes; ++lane)
    if (state.heads[lane] == 0 && !state.out[lane].active) state.settled[lane] = next_seq_;
  if (!state.cursor) return;
  char bytes[kCursorSlotBytes];
  ++state.generation;
  Encode(CursorSlot{state.generation, state.settled}, bytes);
  const std::string_view piece(bytes, sizeof bytes);
  if (auto s =
          state.cursor->WriteAt((state.generation % 2) * kCursorSlotStride, std::span(&piece, 1));
      !s)
    NoteError(s.error());  // the older slot holds: a restart re-sends a little
  state.dirty = true;
}

void Spool::Impl::Close(Consumer::State& state) {
  std::lock_guard lock(mutex_);
  state.open = false;
  state.waker = nullptr;
}

// --- Consumer ---

Consumer::Consumer(std::shared_ptr<Spool::Impl> impl, std::shared_ptr<State> state)
    : impl_(std::move(impl)), state_(std::move(state)) {}
Consumer::~Consumer() { impl_->Close(*state_); }

std::array<Consumer::Head, kLanes> Consumer::Heads() const {
  std::array<Head, kLanes> heads{};
  std::lock_guard lock(impl_->mutex());
  for (uint16_t lane = 0; lane < kLanes; ++lane) {
    if (state_->heads[lane] == 0 || state_->out[lane].active) continue;
    if (const Segment* s = impl_->Find(state_->heads[lane])) {
      const Entry& e = s->entries[state_->heads[lane] - s->base];
      heads[lane] = {e.seq, e.time_ms, e.items, e.length};
    }
  }
  return heads;
}

std::optional<Delivery> Consumer::Take(uint16_t lane) {
  for (;;) {
    std::shared_ptr<File> file;
    const auto entry = impl_->Lend(*state_, lane, file);
    if (!entry) return std::nullopt;
    Delivery delivery;
    delivery.ref_ = std::make_unique<Delivery::Ref>(Delivery::Ref{impl_, state_, *entry});
    delivery.info_ = {entry->type, entry->lane, entry->items, entry->time_ms};
    delivery.seq_ = entry->seq;
    delivery.size_ = kRecordHeaderBytes + entry->length;
    delivery.bytes_ = std::make_shared_for_overwrite<char[]>(delivery.size_);
    auto got = file->ReadAt(entry->offset, delivery.bytes_.get(), delivery.size_);
    file.reset();
    const bool whole = got && *got == delivery.size_;
    const auto header =
        whole ? DecodeRecord({delivery.bytes_.get(), delivery.size_}) : std::nullopt;
    if (header && header->seq == entry->seq && header->length == entry->length &&
        Crc32c(delivery.body()) == header->body_crc) {
      state_->out[lane].read_failures = 0;
      return delivery;
    }
    if (!got && ++state_->out[lane].read_failures < kReadTries)
      return std::nullopt;  // put back by its destructor
    impl_->NoteDamaged();
    std::move(delivery).Dropped(DropReason::kCorrupt,
                                got ? "a record's checksum is wrong" : got.error().message());
  }
}

void Consumer::DropHead(uint16_t lane, DropReason reason, std::string_view detail) {
  std::shared_ptr<File> file;
  const auto entry = impl_->Lend(*state_, lane, file);
  if (!entry) return;
  if (impl_->Settle(*state_, *entry)) state_->balance->Drop(reason, entry->items, detail);
}

void Consumer::DropAll(DropReason reason, std::string_view detail) {
  for (uint16_t lane = 0; lane < kLanes; ++lane)
    while (Heads()[lane].seq != 0) DropHead(lane, reason, detail);
}

void Consumer::SetWaker(std::function<void()> waker) {
  std::lock_guard lock(impl_->mutex());
  state_->waker = std::move(waker);
}

Consumer::Backlog Consumer::Read() const {
  std::lock_guard lock(impl_->mutex());
  Backlog b{state_->records, state_->items, state_->bytes, 0};
  Position low = 0;
  for (const Position head : state_->heads)
    if (head != 0 && (low == 0 || head < low)) low = head;
  if (const Segment* s = low != 0 ? impl_->Find(low) : nullptr)
    b.oldest_ms = s->entries[low - s->base].time_ms;
  return b;
}

bool Consumer::durable() const { return !impl_->memory(); }
uint64_t Consumer::first_new_seq() const { return state_->first_new_seq; }
const std::string& Consumer::name() const { return state_->name; }
const std::shared_ptr<Balance>& Consumer::balance() const { return state_->balance; }

// --- Delivery ---

Delivery::Delivery() = default;
Delivery::Delivery(Delivery&& o) noexcept = default;

Delivery& Delivery::operator=(Delivery&& o) noexcept {
  if (this != &o) {
    Delivery old(std::move(*this));  // puts back what was held
    ref_ = std::move(o.ref_);
    info_ = o.info_;
    seq_ = o.seq_;
    bytes_ = std::move(o.bytes_);
    size_ = std::exchange(o.size_, 0);
  }
  return *this;
}

Delivery::~Delivery() {
  if (!ref_) return;
  if (const auto reason = ref_->impl->PutBack(*ref_->state, ref_->entry))
    ref_->state->balance->Drop(*reason, info_.items, "evicted while it was being sent");
}

std::string_view Delivery::body() const {
  return std::string_view(bytes_.get(), size_).substr(kRecordHeaderBytes);
}

std::shared_ptr<Balance> Delivery::Finish() {
  const auto ref = std::move(ref_);
  return ref->impl->Settle(*ref->state, ref->entry) ? ref->state->balance : nullptr;
}

void Delivery::Delivered(uint32_t rejected, std::string_view detail) && {
  rejected = std::min(rejected, info_.items);
  const auto balance = Finish();
  if (!balance) return;
  balance->Out(info_.items - rejected);
  balance->Drop(DropReason::kPartial, rejected, detail);
}

void Delivery::Dropped(DropReason reason, std::string_view detail) && {
  if (const auto balance = Finish()) balance->Drop(reason, info_.items, detail);
}

void Delivery::Settle(uint32_t delivered, std::span<const std::pair<DropReason, uint32_t>> dropped,
                      std::string_view detail) && {
  const auto balance = Finish();
  if (!balance) return;
  // What the parts do not account for is rejected: the sum is always the record's.
  uint32_t left = info_.items - std::min(delivered, info_.items);
  balance->Out(info_.items - left);
  for (const auto& [reason, n] : dropped) {
    balance->Drop(reason, std::min(n, left), detail);
    left -= std::min(n, left);
  }
  balance->Drop(DropReason::kRejected, left, detail);
}

}  // namespace picket::spool
