// SPDX-License-Identifier: Apache-2.0
// Rows and timed samples into stripes.
#include <algorithm>

#include "store/tsdb/tsdb_impl.h"

namespace picket::store::tsdb {
namespace {

bool Has(const SlotSet& set, int slot) { return (set[slot / 64] >> (slot % 64)) & 1; }
void Add(SlotSet& set, int slot) { set[slot / 64] |= uint64_t{1} << (slot % 64); }

const uint64_t* AsBits(const double* values) { return reinterpret_cast<const uint64_t*>(values); }

}  // namespace

Stripe* Tsdb::Impl::NewStripe(Source& source, std::vector<std::unique_ptr<Stripe>>& list,
                              BlockKind kind) {
  auto place = std::find(list.begin(), list.end(), nullptr);
  if (place == list.end()) place = list.emplace(list.end());
  const auto index = static_cast<uint16_t>(place - list.begin());
  *place = std::make_unique<Stripe>(*heap, kind, source.id, index, next_log.fetch_add(1));
  return place->get();
}

/// The slot of a series in this source's rows, or UINT32_MAX when another source owns it. Caller
/// holds both locks.
uint32_t Tsdb::Impl::ClaimSlot(Source& source, SeriesId id, bool fresh_stripe, Stripe*& filling) {
  SeriesEntry& entry = table->At(id);
  if (entry.owner == source.id) {
    entry.released = false;
    return entry.slot;
  }
  if (entry.owner != kNoSource) {
    if (!entry.released) return UINT32_MAX;
    // Taken over from a source that let go. A slot of an earlier turn may still be open here.
    for (const auto& stripe : source.stripes) {
      if (stripe == nullptr) continue;
      const auto& ids = stripe->ids();
      const auto at = std::find(ids.begin(), ids.end(), id);
      if (at == ids.end()) continue;
      entry.owner = source.id;
      entry.released = false;
      return entry.slot = SlotRef(stripe->index(), static_cast<int>(at - ids.begin()));
    }
  }
  if (filling == nullptr || filling->slots() >= Stripe::kSlots) {
    filling = nullptr;
    // A stripe that nobody has written for two cycles is as good as a fresh one.
    const auto room =
        std::find_if(source.stripes.begin(), source.stripes.end(), [&](const auto& s) {
          return s != nullptr && s->slots() < Stripe::kSlots &&
                 (!fresh_stripe || s->LastMs() < source.previous_cycle_ms);
        });
    if (room != source.stripes.end()) filling = room->get();
    if (filling == nullptr) filling = NewStripe(source, source.stripes, BlockKind::kRows);
  }
  entry.owner = source.id;
  entry.released = false;
  entry.slot = SlotRef(filling->index(), filling->AddSlot(id, entry.hash));
  table->Pin(id);
  table->AddPlace(id, source.id);
  return entry.slot;
}

RowPlan Tsdb::Impl::MakePlan(Source& source, const SampleRow& row) {
  RowPlan plan;
  plan.layout = row.layout;
  std::vector<uint32_t> slots(row.series.size(), UINT32_MAX);
  {
    std::unique_lock lock(table_mutex);
    // A layout of only new series (another rule of a group, say) gets stripes of its own: its rows
    // come by themselves.
    Stripe* filling = nullptr;
    const bool fresh = std::none_of(row.series.begin(), row.series.end(),
                                    [&](SeriesId id) { return table->At(id).owner == source.id; });
    for (size_t i = 0; i < row.series.size(); ++i)
      slots[i] = ClaimSlot(source, row.series[i], fresh, filling);
  }
  std::vector<StripePlan> by_stripe(source.stripes.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == UINT32_MAX) {
      plan.foreign.push_back(static_cast<uint32_t>(i));
      continue;
    }
    StripePlan& sp = by_stripe[StripeOf(slots[i])];
    if (sp.stripe == nullptr) {
      sp.stripe = source.stripes[StripeOf(slots[i])].get();
      sp.slots = sp.stripe->slots();
      sp.gather.assign(static_cast<size_t>(sp.slots), StripePlan::kAbsent);
    }
    const int slot = SlotOf(slots[i]);
    if (!Has(sp.present, slot)) ++sp.count;
    Add(sp.present, slot);
    sp.gather[static_cast<size_t>(slot)] = static_cast<uint32_t>(i);
  }
  for (StripePlan& sp : by_stripe) {
    if (sp.stripe == nullptr) continue;
    sp.base = sp.gather[0];
    bool straight = sp.base != StripePlan::kAbsent;
    for (size_t s = 0; s < sp.gather.size() && straight; ++s)
      straight = sp.gather[s] == sp.base + s;
    if (straight) std::vector<uint32_t>().swap(sp.gather);
    plan.stripes.push_back(std::move(sp));
  }
  return plan;
}

RowPlan& Tsdb::Impl::PlanFor(Source& source, const SampleRow& row) {
  for (RowPlan& plan : source.plans) {
    if (plan.layout != row.layout) continue;
    plan.last_used = row.timestamp_ms;
    return plan;
  }
  // Layouts of churning targets never come back; those of rule groups come once a cycle.
  std::erase_if(source.plans,
                [&](const RowPlan& p) { return p.last_used < source.previous_cycle_ms; });
  source.plans.push_back(MakePlan(source, row));
  source.plans.back().last_used = row.timestamp_ms;
  return source.plans.back();
}

void Tsdb::Impl::AppendRow(Source& source, const SampleRow& row) {
  std::lock_guard lock(source.mutex);
  if (row.timestamp_ms > source.cycle_ms) {
    source.previous_cycle_ms = source.cycle_ms;
    source.cycle_ms = row.timestamp_ms;
  }
  // Stripes that could not be sealed for want of room get another chance before they must refuse
  // the row.
  for (size_t i = 0; i < source.stripes.size(); ++i)
    if (source.stripes[i] != nullptr && source.stripes[i]->rows() >= kMaxRows)
      SealIfDue(source, *source.stripes[i]);
  RowPlan& plan = PlanFor(source, row);
  uint64_t kept = 0;
  for (StripePlan& sp : plan.stripes) kept += AppendStripe(source, sp, row);
  if (!plan.foreign.empty()) {
    std::vector<TimedSample> samples;
    samples.reserve(plan.foreign.size());
    for (uint32_t i : plan.foreign)
      samples.push_back({row.series[i], row.timestamp_ms, row.values[i]});
    kept += AppendTimedLocked(source, samples);
  }
  balance->Out(kept);
  rows_total->Add();
  // Sealing may move slots and clear the plans, so it comes last and by stripe number.
  for (size_t i = 0; i < source.stripes.size(); ++i)
    if (source.stripes[i] != nullptr) SealIfDue(source, *source.stripes[i]);
}

uint64_t Tsdb::Impl::AppendStripe(const Source& source, StripePlan& plan, const SampleRow& row) {
  Stripe& stripe = *plan.stripe;
  const auto count = static_cast<uint64_t>(plan.count);
  if (row.timestamp_ms < stripe.LastMs()) {
    balance->Drop(DropReason::kOutOfOrder, count, source.name);
    return 0;
  }
  // Sealing is tried after each row; that it has not happened by now means there is no room.
  if (stripe.rows() >= kMaxRows) {
    room_needed = true;
    balance->Drop(DropReason::kDiskFull, count, source.name);
    return 0;
  }
  const uint64_t* values = AsBits(row.values.data());
  const uint64_t* next;
  std::array<uint64_t, Stripe::kSlots> gathered;
  if (plan.gather.empty() && plan.slots == stripe.slots()) {
    next = values + plan.base;
  } else {
    const uint64_t* previous = stripe.Previous();
    for (int s = 0; s < stripe.slots(); ++s) {
      uint32_t from = StripePlan::kAbsent;
      if (s < plan.slots)
        from = plan.gather.empty() ? plan.base + static_cast<uint32_t>(s) : plan.gather[s];
      gathered[s] = from == StripePlan::kAbsent ? previous[s] : values[from];
    }
    next = gathered.data();
  }
  if (row.timestamp_ms == stripe.LastMs()) return AppendOverlapping(plan, row, next);
  if (stripe.AppendRow(row.timestamp_ms, next, plan.present)) return count;
  room_needed = true;
  balance->Drop(DropReason::kDiskFull, count, source.name);
  return 0;
}

/// A second row with the time of the last: what is there already must be equal, the rest is added.
uint64_t Tsdb::Impl::AppendOverlapping(StripePlan& plan, const SampleRow& row,
                                       const uint64_t* next) {
  Stripe& stripe = *plan.stripe;
  uint64_t equal = 0, different = 0, fresh = 0;
  SlotSet present{};
  std::array<uint64_t, Stripe::kSlots> values;
  const uint64_t* previous = stripe.Previous();
  for (int s = 0; s < stripe.slots(); ++s) {
    values[s] = previous[s];
    if (!Has(plan.present, s)) continue;
    if (stripe.HasAtLast(s)) {
      ++(next[s] == stripe.LastBits(s) ? equal : different);
    } else {
      Add(present, s);
      values[s] = next[s];
      ++fresh;
    }
  }
  if (different > 0)
    balance->Drop(DropReason::kDuplicate, different, "another value at the same time");
  if (fresh == 0) return equal;
  if (stripe.AppendRow(row.timestamp_ms, values.data(), present)) return equal + fresh;
  room_needed = true;
  balance->Drop(DropReason::kDiskFull, fresh, "no room for the row");
  return equal;
}

uint32_t Tsdb::Impl::TimedSlot(Source& source, SeriesId id) {
  if (const uint32_t* slot = source.timed_slots.Find(id)) return *slot;
  auto room = std::find_if(source.timed.begin(), source.timed.end(), [](const auto& s) {
    return s != nullptr && s->slots() < Stripe::kSlots;
  });
  Stripe* stripe =
      room != source.timed.end() ? room->get() : NewStripe(source, source.timed, BlockKind::kTimed);
  std::unique_lock lock(table_mutex);
  const uint32_t ref = SlotRef(stripe->index(), stripe->AddSlot(id, table->At(id).hash));
  source.timed_slots.Insert(id, ref);
  table->Pin(id);
  table->AddPlace(id, source.id);
  return ref;
}

uint64_t Tsdb::Impl::FlushTimed(Stripe& stripe, TimedBatch& batch) {
  std::sort(batch.samples.begin(), batch.samples.end(),
            [](const SlotSample& a, const SlotSample& b) { return a.slot < b.slot; });
  uint64_t kept = batch.samples.size();
  if (stripe.rows() >= kMaxRows || !stripe.AppendTimed(batch.samples)) {
    room_needed = true;
    balance->Drop(DropReason::kDiskFull, kept, "no room for timed samples");
    kept = 0;
  }
  batch.samples.clear();
  batch.slots = {};
  return kept;
}

uint64_t Tsdb::Impl::AppendTimedLocked(Source& source, std::span<const TimedSample> samples) {
  uint64_t kept = 0;
  std::vector<TimedBatch> batches(source.timed.size());
  for (const TimedSample& sample : samples) {
    uint32_t ref = TimedSlot(source, sample.series);
    if (batches.size() < source.timed.size()) batches.resize(source.timed.size());
    // A row holds a slot once; a series' second sample in the call begins the next row.
    if (Has(batches[StripeOf(ref)].slots, SlotOf(ref))) {
      Stripe& full = *source.timed[StripeOf(ref)];
      kept += FlushTimed(full, batches[StripeOf(ref)]);
      if (SealIfDue(source, full)) ref = TimedSlot(source, sample.series);
      if (batches.size() < source.timed.size()) batches.resize(source.timed.size());
    }
    TimedBatch& batch = batches[StripeOf(ref)];
    const auto slot = static_cast<uint16_t>(SlotOf(ref));
    const auto bits = std::bit_cast<uint64_t>(sample.value);
    UnixMs last;
    uint64_t last_bits;
    if (source.timed[StripeOf(ref)]->Last(slot, last, last_bits) && sample.timestamp_ms <= last) {
      if (sample.timestamp_ms == last && bits == last_bits) {
        ++kept;
      } else {
        balance->Drop(
            sample.timestamp_ms == last ? DropReason::kDuplicate : DropReason::kOutOfOrder, 1,
            source.name);
      }
      continue;
    }
    batch.samples.push_back({slot, bits, sample.timestamp_ms});
    Add(batch.slots, slot);
  }
  for (size_t i = 0; i < batches.size(); ++i) {
    if (source.timed[i] == nullptr || batches[i].samples.empty()) continue;
    kept += FlushTimed(*source.timed[i], batches[i]);
    SealIfDue(source, *source.timed[i]);
  }
  return kept;
}

}  // namespace picket::store::tsdb
