// SPDX-License-Identifier: Apache-2.0
// The Querier side of the store.
#include "store/tsdb/select.h"

#include <algorithm>
#include <map>

#include "store/tsdb/tsdb_impl.h"

namespace picket::store::tsdb {
namespace {

class StoredSet final : public SeriesSet {
 public:
  std::span<const SeriesColumns> series() const override { return columns; }
  std::unique_ptr<Arena> arena;
  std::vector<std::shared_ptr<const Labels>> labels;
  std::vector<SeriesColumns> columns;

  void Add(SeriesId id, std::shared_ptr<const Labels> series_labels, SampleRun run) {
    columns.push_back({id, series_labels.get(), {run.times, run.size}, {run.values, run.size}, {}});
    labels.push_back(std::move(series_labels));
  }
};

/// The series of a selection and the sources that have their samples.
struct Selection {
  std::vector<SeriesId> ids;
  std::vector<std::shared_ptr<const Labels>> labels;
  std::map<SourceId, std::vector<Wanted>> by_source;
};

Selection Find(const SeriesTable& table, std::span<const Matcher> matchers) {
  Selection out;
  out.ids = table.Select(matchers);
  out.labels.reserve(out.ids.size());
  SourceId last = kNoSource;
  std::vector<Wanted>* list = nullptr;
  for (uint32_t i = 0; i < out.ids.size(); ++i) {
    const SeriesId id = out.ids[i];
    const SeriesEntry& e = table.At(id);
    out.labels.push_back(table.SharedLabels(id));
    table.ForEachPlace(id, [&](SourceId source) {
      if (source != last || list == nullptr) list = &out.by_source[source];
      last = source;
      list->push_back(
          {id, static_cast<uint8_t>(e.hash), e.owner == source ? e.slot : UINT32_MAX, i});
    });
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<SeriesSet>> Tsdb::Select(std::span<const Matcher> matchers, UnixMs min_ms,
                                                UnixMs max_ms) const {
  Selection found;
  {
    std::shared_lock lock(impl_->table_mutex);
    found = Find(*impl_->table, matchers);
  }
  auto set = std::make_unique<StoredSet>();
  if (min_ms > max_ms) return set;
  Assembler assembler(found.ids.size(), min_ms, max_ms);
  for (const auto& [id, wanted] : found.by_source)
    if (const auto source = impl_->FindSource(id)) assembler.Read(*source, wanted);
  set->columns.reserve(found.ids.size());
  set->labels.reserve(found.ids.size());
  for (size_t i = 0; i < found.ids.size(); ++i) {
    const SampleRun run = assembler.Finish(i);
    if (run.size > 0) set->Add(found.ids[i], std::move(found.labels[i]), run);
  }
  set->arena = assembler.TakeArena();
  return set;
}

Result<std::unique_ptr<SeriesSet>> Tsdb::SelectInstant(std::span<const Matcher> matchers,
                                                       UnixMs at_ms, Milliseconds lookback) const {
  Selection found;
  {
    std::shared_lock lock(impl_->table_mutex);
    found = Find(*impl_->table, matchers);
  }
  const UnixMs oldest = Sub(at_ms, lookback.count());  // itself outside
  std::vector<uint32_t> sources_left(found.ids.size());
  for (const auto& [id, wanted] : found.by_source)
    for (const Wanted& w : wanted) ++sources_left[w.result];
  Assembler assembler(found.ids.size(), oldest + 1, at_ms);
  Arena arena;
  std::vector<SampleRun> answers(found.ids.size());
  for (auto& [id, wanted] : found.by_source) {
    const auto source = impl_->FindSource(id);
    if (source == nullptr) continue;
    {
      // The newest row answers when it is not newer than asked and the series lives nowhere else.
      std::lock_guard lock(source->mutex);
      const bool only_rows =
          source->timed.empty() &&
          std::none_of(source->blocks.begin(), source->blocks.end(),
                       [](const BlockRef& b) { return b.kind == BlockKind::kTimed; });
      std::erase_if(wanted, [&](const Wanted& w) {
        const size_t s = StripeOf(w.slot);
        if (!only_rows || sources_left[w.result] > 1 || s >= source->stripes.size()) return false;
        const Stripe* stripe = source->stripes[s].get();
        const int slot = SlotOf(w.slot);
        if (stripe == nullptr || slot >= stripe->slots() || stripe->ids()[slot] != w.id)
          return false;
        UnixMs ms;
        uint64_t bits;
        if (!stripe->Last(slot, ms, bits) || ms > at_ms || ms <= oldest) return false;
        auto* time = arena.Make<UnixMs>(1);
        auto* value = arena.Make<double>(1);
        *time = ms;
        *value = std::bit_cast<double>(bits);
        answers[w.result] = {time, value, 1};
        return true;
      });
    }
    if (!wanted.empty()) assembler.Read(*source, wanted);
  }
  auto set = std::make_unique<StoredSet>();
  for (size_t i = 0; i < found.ids.size(); ++i) {
    SampleRun run = answers[i];
    if (run.size == 0) {
      run = assembler.Finish(i);
      if (run.size == 0) continue;
      auto* time = arena.Make<UnixMs>(1);
      auto* value = arena.Make<double>(1);
      *time = run.times[run.size - 1];
      *value = run.values[run.size - 1];
      run = {time, value, 1};
    }
    set->Add(found.ids[i], std::move(found.labels[i]), run);
  }
  set->arena = std::make_unique<Arena>(std::move(arena));
  return set;
}

bool Tsdb::Last(SeriesId series, LastSample& out) const {
  SourceId owner;
  uint32_t ref;
  {
    std::shared_lock lock(impl_->table_mutex);
    if (!impl_->table->Known(series)) return false;
    owner = impl_->table->At(series).owner;
    ref = impl_->table->At(series).slot;
  }
  const auto source = impl_->FindSource(owner);
  if (source == nullptr) return false;
  std::lock_guard lock(source->mutex);
  const Stripe* stripe =
      StripeOf(ref) < source->stripes.size() ? source->stripes[StripeOf(ref)].get() : nullptr;
  if (stripe == nullptr || SlotOf(ref) >= stripe->slots() || stripe->ids()[SlotOf(ref)] != series)
    return false;
  uint64_t bits;
  if (!stripe->Last(SlotOf(ref), out.timestamp_ms, bits)) return false;
  out.value = std::bit_cast<double>(bits);
  return true;
}

std::vector<Labels> Tsdb::SelectLabels(std::span<const Matcher> matchers, UnixMs min_ms,
                                       UnixMs max_ms) const {
  std::vector<Labels> out;
  // The whole window asks for no decoding; a part of it does, so that a series without samples
  // there is left out.
  if (min_ms > OldestMs() || max_ms < impl_->options.clock->NowMs()) {
    const auto set = Select(matchers, min_ms, max_ms);
    for (const SeriesColumns& c : (*set)->series()) out.push_back(*c.labels);
    return out;
  }
  std::shared_lock lock(impl_->table_mutex);
  for (SeriesId id : impl_->table->Select(matchers)) out.push_back(impl_->table->LabelsOf(id));
  return out;
}

std::vector<std::string> Tsdb::LabelNames(std::span<const Matcher> matchers) const {
  std::shared_lock lock(impl_->table_mutex);
  if (matchers.empty()) return impl_->table->labels().Names();
  std::vector<std::string> out;
  for (SeriesId id : impl_->table->Select(matchers))
    impl_->table->ForEachPair(id, [&](std::string_view name, std::string_view) {
      if (std::find(out.begin(), out.end(), name) == out.end()) out.emplace_back(name);
    });
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> Tsdb::LabelValues(std::string_view name,
                                           std::span<const Matcher> matchers) const {
  std::shared_lock lock(impl_->table_mutex);
  if (matchers.empty()) return impl_->table->labels().Values(name);
  std::vector<std::string> out;
  for (SeriesId id : impl_->table->Select(matchers))
    impl_->table->ForEachPair(id, [&](std::string_view n, std::string_view value) {
      if (n == name) out.emplace_back(value);
    });
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<std::shared_ptr<const MetricMetadata>> Tsdb::Metadata() const {
  std::shared_lock lock(impl_->table_mutex);
  return impl_->table->AllMetadata();
}

UnixMs Tsdb::OldestMs() const {
  UnixMs oldest = impl_->segments->OldestMs();
  for (const auto& source : impl_->Sources()) {
    std::lock_guard lock(source->mutex);
    for (const auto* list : {&source->stripes, &source->timed})
      for (const auto& s : *list)
        if (s != nullptr) oldest = std::min(oldest, s->FirstMs());
  }
  return oldest;
}

}  // namespace picket::store::tsdb
