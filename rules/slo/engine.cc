// SPDX-License-Identifier: Apache-2.0
#include "rules/slo/engine.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/model/increments.h"
#include "rules/promql/parser.h"
#include "store/ledger/ledger.h"

namespace picket::rules::slo {
namespace {

using store::ledger::Counts;
using store::ledger::Ledger;
using store::ledger::SloId;

constexpr Milliseconds kEvery(10'000);
constexpr UnixMs kLookBackMs = 300'000;         // samples that became visible late
constexpr UnixMs kFirstLookMs = 2 * 3'600'000;  // after a restart: the window of the store

/// Last values of an objective's counters live in the ledger, beside the counts they have led to.
class LedgerMemory final : public CounterMemory {
 public:
  LedgerMemory(Ledger& ledger, SloId id) : ledger_(ledger), id_(id) {}
  std::optional<Last> Recall(uint64_t key) const override {
    const auto raw = ledger_.Raw(id_, key);
    return raw ? std::optional(Last{raw->seen_ms, raw->value}) : std::nullopt;
  }
  void Remember(uint64_t key, const Last& last) override {
    ledger_.SetRaw(id_, key, {last.value, 0, last.time_ms});
  }
  void Forget(uint64_t key) override { ledger_.EraseRaw(id_, key); }

 private:
  Ledger& ledger_;
  SloId id_;
};

/// The second selector counts either bad or good events.
struct Selectors {
  std::vector<std::vector<Matcher>> matchers;  // total, then the other
  bool second_is_good = false;
};

Result<Selectors> Compile(const IndicatorConfig& indicator) {
  Selectors out;
  if (indicator.ratio) {
    out.second_is_good = !indicator.ratio->good.empty();
    PICKET_ASSIGN(auto total, promql::ParseSelector(indicator.ratio->total));
    PICKET_ASSIGN(auto other, promql::ParseSelector(out.second_is_good ? indicator.ratio->good
                                                                       : indicator.ratio->errors));
    out.matchers = {std::move(total), std::move(other)};
    return out;
  }
  PICKET_ASSIGN(const auto matchers, promql::ParseSelector(indicator.latency->histogram));
  std::string name;
  std::vector<Matcher> rest;
  for (const Matcher& m : matchers) {
    if (m.name() == kMetricName && m.type() == Matcher::Type::kEqual)
      name = m.value();
    else
      rest.push_back(m);
  }
  auto with = [&](const char* suffix) {
    std::vector<Matcher> all = rest;
    all.push_back(Matcher::Equal(std::string(kMetricName), name + suffix));
    return all;
  };
  out.second_is_good = true;
  out.matchers = {with("_count"), with("_bucket")};
  // 0.5 may be written 0.5 or 0.50 by a library; 1 is written 1 or 1.0.
  std::string le = FormatFloat(indicator.latency->threshold);
  std::string pattern;
  for (const char c : le)
    pattern += c == '.' || c == '+' ? std::string("\\") + c : std::string(1, c);
  pattern += le.find('.') == std::string::npos ? "(\\.0+)?" : "0*";
  PICKET_ASSIGN(auto bucket, Matcher::Make(Matcher::Type::kRegex, "le", pattern));
  out.matchers[1].push_back(std::move(bucket));
  return out;
}

/// What one pass over the counters found.
struct Found {
  double total = 0;
  double other = 0;
};

}  // namespace

struct SloEngine::Impl {
  struct Slot {
    size_t good, total, objective, budget, days, current_burn, period_burn, remaining;
    std::array<size_t, kWindows.size()> ratio;
  };
  struct Objective {
    SloConfig config;
    SloId id;
    bool second_is_good;
    std::unique_ptr<LedgerMemory> memory;
    std::unique_ptr<IncrementReader> reader;
    Slot slots;
    uint64_t counted_good = 0, counted_total = 0;  // since the engine began, for the counters
    bool first = true;
    UnixMs last_ms = 0;
    SloStatus status;
  };

  Result<Objective> Make(const SloConfig& config);
  Slot AddSeries(const SloConfig& config);
  void RemoveSeries(const Objective& o);
  void Count(Objective& o, UnixMs now_ms);
  void Tell(Objective& o, UnixMs now_ms);

  Needs needs;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<FixedRow> row;
  std::vector<Objective> objectives;
  UnixMs due_ms = 0;
  log::RateLimit commit_log;
};

SloEngine::SloEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SloEngine::~SloEngine() = default;

Result<std::unique_ptr<SloEngine>> SloEngine::Open(Needs needs) {
  auto impl = std::make_unique<Impl>();
  impl->needs = needs;
  store::ledger::LedgerOptions options;
  options.data_dir = needs.data_dir.empty() ? "" : needs.data_dir + "/ledger";
  options.clock = needs.clock;
  options.keep = std::chrono::hours(24 * 92);
  PICKET_ASSIGN(impl->ledger, Ledger::Open(options));
  for (const std::string& damage : impl->ledger->recovery().damage)
    log::Warn("Part of the error-budget ledger was damaged and is not counted", {{"part", damage}});
  impl->row = std::make_unique<FixedRow>(*needs.intake, "rules slo");
  return std::unique_ptr<SloEngine>(new SloEngine(std::move(impl)));
}

SloEngine::Impl::Slot SloEngine::Impl::AddSeries(const SloConfig& c) {
  auto add = [&](const std::string& name, MetricType type, const char* help,
                 std::string_view label = "", std::string_view value = "") {
    LabelsBuilder b;
    for (const auto& [n, v] : c.labels) b.Set(n, v);
    b.Set(kMetricName, name);
    b.Set("sloth_id", c.Id());
    b.Set("sloth_service", c.service);
    b.Set("sloth_slo", c.name);
    if (!label.empty()) b.Set(label, value);
    return row->Add(b.Build(), type, help);
  };
  Slot s;
  s.good = add("slo_events_total", MetricType::kCounter,
               "Events of the objective since the agent began.", "class", "good");
  s.total = add("slo_events_total", MetricType::kCounter,
                "Events of the objective since the agent began.", "class", "total");
  s.objective =
      add("slo:objective:ratio", MetricType::kGauge, "Share of events that must be good.");
  s.budget = add("slo:error_budget:ratio", MetricType::kGauge, "Share of events that may be bad.");
  s.days = add("slo:time_period:days", MetricType::kGauge, "Period of the error budget.");
  s.current_burn = add("slo:current_burn_rate:ratio", MetricType::kGauge,
                       "How many times too fast the budget burns, over 5 minutes.");
  s.period_burn = add("slo:period_burn_rate:ratio", MetricType::kGauge,
                      "Share of the period's budget that is spent.");
  s.remaining = add("slo:period_error_budget_remaining:ratio", MetricType::kGauge,
                    "Share of the period's budget that is left.");
  for (size_t i = 0; i < kWindows.size(); ++i)
    s.ratio[i] = add("slo:sli_error:ratio_rate" + std::string(kWindows[i].name), MetricType::kGauge,
                     "Share of events that were bad.", "sloth_window", kWindows[i].name);
  return s;
}

void SloEngine::Impl::RemoveSeries(const Objective& o) {
  const Slot& s = o.slots;
  for (const size_t slot :
       {s.good, s.total, s.objective, s.budget, s.days, s.current_burn, s.period_burn, s.remaining})
    row->Remove(slot);
  for (const size_t slot : s.ratio) row->Remove(slot);
}

Result<SloEngine::Impl::Objective> SloEngine::Impl::Make(const SloConfig& config) {
  PICKET_ASSIGN(auto selectors, Compile(config.indicator));
  Objective o;
  o.config = config;
  o.id = ledger->OpenSlo(config.Id());
  o.second_is_good = selectors.second_is_good;
  o.memory = std::make_unique<LedgerMemory>(*ledger, o.id);
  o.reader = std::make_unique<IncrementReader>(std::move(selectors.matchers), o.memory.get());
  o.slots = AddSeries(config);
  return o;
}

Status SloEngine::Apply(const std::vector<SloConfig>& slos, UnixMs now_ms) {
  std::vector<Impl::Objective> old = std::move(impl_->objectives);
  impl_->objectives.clear();
  for (const SloConfig& c : slos) {
    auto it = std::find_if(old.begin(), old.end(),
                           [&](const auto& o) { return o.reader && o.config.Id() == c.Id(); });
    if (it != old.end() && config::ToYaml(it->config) == config::ToYaml(c)) {
      impl_->objectives.push_back(std::move(*it));
      continue;
    }
    if (it != old.end()) {
      impl_->RemoveSeries(*it);
      it->reader.reset();
    }
    PICKET_ASSIGN(auto made, impl_->Make(c));
    impl_->objectives.push_back(std::move(made));
  }
  for (const auto& o : old)
    if (o.reader) impl_->RemoveSeries(o);
  impl_->due_ms = now_ms;
  return {};
}

void SloEngine::Impl::Count(Objective& o, UnixMs now_ms) {
  const UnixMs from = now_ms - (o.first ? kFirstLookMs : kLookBackMs);
  std::map<UnixMs, Found> found;
  auto on = [&](size_t selector, const Labels&, UnixMs t, double increment) {
    (selector == 0 ? found[t].total : found[t].other) += increment;
  };
  if (const auto read = o.reader->Read(*needs.querier, from, now_ms, on); !read) {
    o.status.last_error = read.error().ToString();
    return;
  }
  o.first = false;
  o.status.last_error.clear();
  const UnixMs covered =
      o.last_ms == 0 ? 0 : std::clamp<UnixMs>(now_ms - o.last_ms, 0, 3 * kEvery.count());
  o.last_ms = now_ms;
  if (!found.empty() && covered > 0)
    ledger->Add(o.id, now_ms, Counts{0, 0, static_cast<uint64_t>(covered)});
  for (const auto& [t, f] : found) {
    const auto total = static_cast<uint64_t>(std::llround(std::max(0.0, f.total)));
    const double good = o.second_is_good ? f.other : f.total - f.other;
    const auto events =
        Counts{static_cast<uint64_t>(std::llround(std::clamp(good, 0.0, std::max(0.0, f.total)))),
               total, 0};
    if (events.total == 0 || !ledger->Add(o.id, t, events)) continue;
    o.counted_good += events.good;
    o.counted_total += events.total;
  }
}

void SloEngine::Impl::Tell(Objective& o, UnixMs now_ms) {
  const double budget = o.config.Budget();
  SloStatus& s = o.status;
  s.id = o.config.Id();
  s.name = o.config.name;
  s.service = o.config.service;
  s.objective = 1 - budget;
  s.window = o.config.window;
  const auto period = ledger->Window(o.id, now_ms, o.config.window);
  s.good = period.counts.good;
  s.total = period.counts.total;
  s.coverage = std::min(1.0, static_cast<double>(period.counts.covered_ms) /
                                 static_cast<double>(o.config.window.count()));
  auto bad_share = [](const Counts& c) {
    return static_cast<double>(c.total - c.good) / static_cast<double>(c.total);
  };
  const double spent = s.total == 0 ? 0 : bad_share(period.counts) / budget;
  s.budget_remaining = 1 - spent;
  s.burn.clear();
  row->Set(o.slots.good, static_cast<double>(o.counted_good));
  row->Set(o.slots.total, static_cast<double>(o.counted_total));
  row->Set(o.slots.objective, s.objective);
  row->Set(o.slots.budget, budget);
  row->Set(o.slots.days, static_cast<double>(o.config.window.count()) / 86'400'000);
  row->Set(o.slots.period_burn, spent);
  row->Set(o.slots.remaining, s.budget_remaining);
  for (size_t i = 0; i < kWindows.size(); ++i) {
    const Counts c = ledger->Window(o.id, now_ms, kWindows[i].length).counts;
    // Without events there is nothing to tell: 0/0 is neither good nor bad.
    if (c.total == 0) {
      row->Set(o.slots.ratio[i], 0);
      continue;
    }
    row->Set(o.slots.ratio[i], bad_share(c));
    s.burn[std::string(kWindows[i].name)] = bad_share(c) / budget;
  }
  row->Set(o.slots.current_burn, s.burn.contains("5m") ? s.burn["5m"] : 0);
}

UnixMs SloEngine::Evaluate(UnixMs now_ms) {
  if (now_ms < impl_->due_ms) return impl_->due_ms;
  impl_->due_ms = now_ms + kEvery.count();
  if (impl_->objectives.empty()) return INT64_MAX;
  for (auto& o : impl_->objectives) impl_->Count(o, now_ms);
  uint64_t held = 0;
  if (const auto saved = impl_->ledger->Commit(); !saved && impl_->commit_log.Allow(held, 60'000))
    log::Error(
        "The error-budget ledger could not be written; it stays in memory and is tried again",
        {{"error", saved.error().ToString()}, {"messages_held_back", held}});
  for (auto& o : impl_->objectives) impl_->Tell(o, now_ms);
  impl_->row->Commit(now_ms);
  return impl_->due_ms;
}

std::vector<SloStatus> SloEngine::Statuses() const {
  std::vector<SloStatus> out;
  for (const auto& o : impl_->objectives) out.push_back(o.status);
  return out;
}

}  // namespace picket::rules::slo
