// SPDX-License-Identifier: Apache-2.0
// Open blocks into sealed ones.
#include "core/base/log.h"
#include "store/tsdb/tsdb_impl.h"

namespace picket::store::tsdb {

int Tsdb::Impl::SealAt(const Stripe& stripe) const {
  if (!stripe.first_block()) return kBlockRows;
  // Targets that started together shall not all seal in the same scrape for ever.
  return kBlockRows / 2 + static_cast<int>((stripe.log() * 37) % (kBlockRows / 2 + 1));
}

bool Tsdb::Impl::SealIfDue(Source& source, Stripe& stripe) {
  if (stripe.rows() == 0) return false;
  const int64_t retention = retention_ms.load(std::memory_order_relaxed);
  // A slow source would otherwise hold a block longer than the window.
  const bool long_enough = retention > 0 && stripe.LastMs() > stripe.FirstMs() &&
                           Sub(stripe.LastMs(), stripe.FirstMs()) >= retention / 2;
  return (stripe.rows() >= SealAt(stripe) || long_enough) && SealStripe(source, stripe);
}

bool Tsdb::Impl::SealStripe(Source& source, Stripe& stripe) {
  const Stripe::Sealed sealed = stripe.Seal();
  if (!sealed.ids.empty()) {
    // Pinned first: the block may be evicted as soon as it is written.
    {
      std::unique_lock lock(table_mutex);
      for (SeriesId id : sealed.ids) table->Pin(id);
    }
    auto block =
        segments->Write(sealed.header, sealed.payload, sealed.ids.front(), sealed.ids.back());
    maintain_due = true;
    if (!block) {
      std::unique_lock lock(table_mutex);
      for (SeriesId id : sealed.ids) table->Unpin(id);
      return false;
    }
    source.blocks.push_back(*std::move(block));
    blocks_total->Add();
  }
  std::vector<SeriesId> dropped;
  const bool moved = stripe.Restart(next_log.fetch_add(1), dropped);
  if (moved) AfterRestart(source, stripe, dropped);
  return true;
}

void Tsdb::Impl::AfterRestart(Source& source, Stripe& stripe,
                              const std::vector<SeriesId>& dropped) {
  const bool timed = stripe.kind() == BlockKind::kTimed;
  {
    std::unique_lock lock(table_mutex);
    for (SeriesId id : dropped) {
      if (timed) {
        source.timed_slots.Erase(id);
      } else if (SeriesEntry& e = table->At(id);
                 e.owner == source.id && StripeOf(e.slot) == stripe.index()) {
        e.owner = kNoSource;
        e.released = false;
      }
      table->Unpin(id);
    }
    for (int slot = 0; slot < stripe.slots(); ++slot) {
      const SeriesId id = stripe.ids()[slot];
      const uint32_t ref = SlotRef(stripe.index(), slot);
      if (timed) {
        if (uint32_t* at = source.timed_slots.Find(id)) *at = ref;
      } else if (SeriesEntry& e = table->At(id);
                 e.owner == source.id && StripeOf(e.slot) == stripe.index()) {
        e.slot = ref;
      }
    }
  }
  if (!timed) source.plans.clear();
  if (stripe.slots() == 0) (timed ? source.timed : source.stripes)[stripe.index()].reset();
}

void Tsdb::Impl::DropStripe(Source& source, Stripe& stripe) {
  // Without a newest row no slot is kept.
  std::vector<SeriesId> dropped;
  stripe.Forget();
  stripe.Restart(next_log.fetch_add(1), dropped);
  AfterRestart(source, stripe, dropped);
}

void Tsdb::Impl::SealAll(Source& source) {
  for (auto* list : {&source.stripes, &source.timed}) {
    for (size_t i = 0; i < list->size(); ++i) {
      if ((*list)[i] == nullptr) continue;
      // With no room now the log stays, and Maintain tries again.
      if ((*list)[i]->rows() > 0 && !SealStripe(source, *(*list)[i])) continue;
      if ((*list)[i] != nullptr) DropStripe(source, *(*list)[i]);
    }
  }
  source.plans.clear();
}

}  // namespace picket::store::tsdb
