// SPDX-License-Identifier: Apache-2.0
#include "rules/canary/canary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/log.h"
#include "core/base/strings.h"
#include "rules/canary/counts.h"
#include "rules/canary/sequential_test.h"
#include "rules/promql/parser.h"

namespace picket::rules::canary {
namespace {

constexpr UnixMs kReplayMs = 3'600'000;  // how far a restart looks back
constexpr UnixMs kLateMs = 120'000;      // rows may become visible this late

std::vector<Matcher> Join(std::vector<Matcher> a, const std::vector<Matcher>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string SideJson(const SideCounts& s) {
  return fmt::format(R"({{"requests":{},"errors":{},"rate":{:.6g}}})", s.requests, s.errors,
                     s.Rate());
}

}  // namespace

std::string CanaryStatus::EvidenceJson() const {
  return fmt::format(
      R"({{"indicator":{},"canary":{},"baseline":{},"log_e":{:.4f},"threshold":{:.4f},"log_e_ok":{:.4f},)"
      R"("started_ms":{},"first_error_ms":{},"decided_ms":{},"last_data_ms":{}}})",
      JsonQuote(deciding_indicator), SideJson(canary), SideJson(baseline), log_e, threshold,
      log_e_ok, started_ms, first_error_ms, decided_ms, last_data_ms);
}

/// One configured canary and the rollout it is in.
class CanaryJudge::Rollout {
 public:
  Rollout(CanaryConfig config,
          std::vector<std::pair<std::string, std::shared_ptr<SignalSink>>> sinks)
      : config_(std::move(config)), sinks_(std::move(sinks)) {
    status_.name = config_.name;
    status_.threshold = std::log(1 / config_.false_alarm);
  }

  Status Prepare();
  void Publish(FixedRow& row);
  void Evaluate(const Querier& querier, const promql::Engine& engine, UnixMs now_ms);
  CanaryStatus Read() const;
  UnixMs due_ms() const { return due_ms_; }

 private:
  struct Indicator {
    IndicatorConfig config;
    SideReader canary;
    SideReader baseline;
    SequentialTest test;
    SideCounts canary_counts, baseline_counts;
  };
  struct Threshold {
    ThresholdConfig config;
    promql::ExpressionPtr expression;
    int64_t failed = 0;
  };

  TestOptions Options() const {
    return {config_.tolerated_ratio, config_.absolute_limit, config_.strict};
  }
  void ReadIndicator(Indicator& i, const Querier& querier, UnixMs now_ms);
  void Begin(UnixMs now_ms, const std::string& label);
  void End();
  void AddBatch(Indicator& i, std::span<const Cell> cells);
  void Judge(UnixMs now_ms);
  void JudgeThresholds(const Querier& querier, const promql::Engine& engine, UnixMs now_ms);
  void Decide(Verdict verdict, std::string reason, UnixMs now_ms);

  CanaryConfig config_;
  std::vector<std::pair<std::string, std::shared_ptr<SignalSink>>> sinks_;
  std::vector<Indicator> indicators_;
  std::vector<Threshold> thresholds_;
  CanaryStatus status_;
  bool first_ = true;
  bool promoted_ = false;
  UnixMs due_ms_ = 0;
  std::array<size_t, 6> slots_{};
};

Status CanaryJudge::Rollout::Prepare() {
  PICKET_ASSIGN(const auto canary, promql::ParseSelector(config_.canary));
  PICKET_ASSIGN(const auto baseline, promql::ParseSelector(config_.baseline));
  if (config_.indicators.empty()) config_.indicators.emplace_back();
  for (const IndicatorConfig& c : config_.indicators) {
    PICKET_ASSIGN(const auto requests, promql::ParseSelector(c.requests));
    PICKET_ASSIGN(const auto errors, promql::ParseSelector(c.errors));
    indicators_.push_back({c,
                           SideReader(Join(requests, canary), Join(errors, canary), true),
                           SideReader(Join(requests, baseline), Join(errors, baseline), false),
                           SequentialTest(Options()),
                           {},
                           {}});
    indicators_.back().canary.WatchLabel(config_.rollout_label);
  }
  for (const ThresholdConfig& c : config_.thresholds) {
    PICKET_ASSIGN(auto expression, promql::Parse(c.expr));
    thresholds_.push_back({c, std::move(expression)});
  }
  return {};
}

void CanaryJudge::Rollout::Publish(FixedRow& row) {
  auto add = [&](const char* name, MetricType type, const char* help, std::string side = "") {
    return row.Add(Labels{{"__name__", name}, {"canary", config_.name}, {"side", std::move(side)}},
                   type, help);
  };
  if (slots_[1] == 0 && slots_[5] == 0) {
    slots_[0] = add("picket_canary_log_e", MetricType::kGauge,
                    "ln of the evidence that the canary is worse.");
    slots_[1] = add("picket_canary_verdict", MetricType::kGauge, "1 bad, 0 unsure, -1 ok.");
    slots_[2] =
        add("picket_canary_requests", MetricType::kGauge, "Requests in this rollout.", "canary");
    slots_[3] =
        add("picket_canary_requests", MetricType::kGauge, "Requests in this rollout.", "baseline");
    slots_[4] =
        add("picket_canary_errors", MetricType::kGauge, "Errors in this rollout.", "canary");
    slots_[5] =
        add("picket_canary_errors", MetricType::kGauge, "Errors in this rollout.", "baseline");
  }
  row.Set(slots_[0], status_.log_e);
  row.Set(slots_[1], status_.verdict == Verdict::kBad  ? 1
                     : status_.verdict == Verdict::kOk ? -1
                                                       : 0);
  row.Set(slots_[2], status_.canary.requests);
  row.Set(slots_[3], status_.baseline.requests);
  row.Set(slots_[4], status_.canary.errors);
  row.Set(slots_[5], status_.baseline.errors);
}

CanaryStatus CanaryJudge::Rollout::Read() const {
  CanaryStatus s = status_;
  if (s.decided_ms == 0) return s;
  for (const auto& [name, sink] : sinks_) {
    const std::string state = sink->StateOf(s.rollout_id);
    if (s.signal_state.empty() || state != "delivered") s.signal_state = state;
  }
  return s;
}

void CanaryJudge::Rollout::Begin(UnixMs now_ms, const std::string& label) {
  const std::string id = config_.name + "/" + (label.empty() ? std::to_string(now_ms) : label);
  log::Info("A rollout has begun", {{"canary", config_.name}, {"rollout", id}});
  status_.rollout_id = id;
  status_.started_ms = now_ms;
}

void CanaryJudge::Rollout::End() {
  log::Info("A rollout has ended: no traffic on the canary",
            {{"canary", config_.name},
             {"rollout", status_.rollout_id},
             {"verdict", VerdictName(status_.verdict)}});
  const double threshold = status_.threshold;
  status_ = {};
  status_.name = config_.name;
  status_.threshold = threshold;
  promoted_ = false;
  for (Indicator& i : indicators_) {
    i.test.Restart();
    i.canary_counts = i.baseline_counts = {};
  }
  for (Threshold& t : thresholds_) t.failed = 0;
}

void CanaryJudge::Rollout::AddBatch(Indicator& i, std::span<const Cell> cells) {
  Batch b;
  b.timestamp_ms = cells.back().timestamp_ms;
  for (const Cell& c : cells) {
    if (c.canary && c.requests > 0 && status_.rollout_id.empty())
      Begin(c.timestamp_ms, i.canary.LastLabel());
    if (c.requests <= 0) continue;
    if (c.canary) {
      b.canary_requests += c.requests;
      b.canary_errors += c.errors;
      b.canary_chunks += 1;
      b.canary_bad_chunks += c.errors > 0 ? 1 : 0;
      status_.last_data_ms = std::max(status_.last_data_ms, c.timestamp_ms);
      if (c.errors > 0 && status_.first_error_ms == 0) status_.first_error_ms = c.timestamp_ms;
    } else {
      b.baseline_requests += c.requests;
      b.baseline_errors += c.errors;
      b.baseline_chunks += 1;
      b.baseline_bad_chunks += c.errors > 0 ? 1 : 0;
      i.test.LearnBaseline(c.errors);
    }
  }
  if (status_.rollout_id.empty()) return;
  i.canary_counts.requests += b.canary_requests;
  i.canary_counts.errors += b.canary_errors;
  i.baseline_counts.requests += b.baseline_requests;
  i.baseline_counts.errors += b.baseline_errors;
  i.test.Add(b);
}

void CanaryJudge::Rollout::ReadIndicator(Indicator& i, const Querier& querier, UnixMs now_ms) {
  const UnixMs from =
      now_ms - (first_ ? kReplayMs : std::max(kLateMs, 3 * config_.interval.count()));
  std::vector<Cell> cells;
  Status read = i.baseline.Read(querier, from, now_ms, cells);
  if (read) read = i.canary.Read(querier, from, now_ms, cells);
  if (!read) {
    log::Warn("Could not read the canary's counters", {{"canary", config_.name},
                                                       {"indicator", i.config.name},
                                                       {"error", read.error().ToString()}});
    return;
  }
  MergeCells(cells);
  const UnixMs step = config_.interval.count();
  for (size_t a = 0; a < cells.size();) {
    size_t z = a;
    while (z < cells.size() && cells[z].timestamp_ms / step == cells[a].timestamp_ms / step) ++z;
    AddBatch(i, std::span(cells).subspan(a, z - a));
    a = z;
    if (!status_.rollout_id.empty()) Judge(cells[z - 1].timestamp_ms);
  }
}

void CanaryJudge::Rollout::Judge(UnixMs at_ms) {
  // Evidence of several indicators is averaged: valid under any dependence between them.
  double top = -INFINITY;
  double top_ok = INFINITY;
  const Indicator* deciding = &indicators_[0];
  for (const Indicator& i : indicators_) {
    if (i.test.LogE() > top) top = i.test.LogE(), deciding = &i;
    top_ok = std::min(top_ok, i.test.LogEOk());
  }
  double sum = 0;
  for (const Indicator& i : indicators_) sum += std::exp(i.test.LogE() - top);
  status_.log_e = top + std::log(sum / static_cast<double>(indicators_.size()));
  status_.log_e_ok = top_ok;
  status_.canary = deciding->canary_counts;
  status_.baseline = deciding->baseline_counts;
  status_.deciding_indicator = deciding->config.name;
  if (status_.verdict == Verdict::kBad) return;
  const double c = status_.canary.Rate();
  const double b = status_.baseline.Rate();
  const bool enough = status_.canary.requests >= static_cast<double>(config_.minimum_requests);
  if (enough && status_.log_e >= status_.threshold && c - b >= config_.minimum_difference) {
    Decide(Verdict::kBad,
           fmt::format("{} of {} canary requests failed ({:.2f} %) against {} of {} ({:.2f} %) of "
                       "the baseline; "
                       "chance explains this less than once in {:.0f} rollouts",
                       status_.canary.errors, status_.canary.requests, 100 * c,
                       status_.baseline.errors, status_.baseline.requests, 100 * b,
                       1 / config_.false_alarm),
           at_ms);
    return;
  }
  if (enough && status_.log_e_ok >= status_.threshold && status_.log_e < status_.threshold / 2) {
    if (status_.verdict != Verdict::kOk)
      Decide(Verdict::kOk,
             fmt::format("not worse than tolerated after {} requests", status_.canary.requests),
             at_ms);
    return;
  }
  if (status_.verdict == Verdict::kUnsure)
    status_.reason = fmt::format("{} canary requests so far, not enough evidence either way",
                                 status_.canary.requests);
}

void CanaryJudge::Rollout::Decide(Verdict verdict, std::string reason, UnixMs at_ms) {
  status_.verdict = verdict;
  status_.reason = std::move(reason);
  status_.decided_ms = at_ms;
  log::Info("Canary verdict", {{"canary", config_.name},
                               {"rollout", status_.rollout_id},
                               {"verdict", VerdictName(verdict)},
                               {"log_e", fmt::format("{:.2f}", status_.log_e)},
                               {"reason", status_.reason}});
  if (verdict != Verdict::kBad && (!config_.promote || promoted_)) return;
  promoted_ = true;
  const RolloutSignal signal{config_.name,
                             status_.rollout_id,
                             verdict == Verdict::kBad ? "rollback" : "promote",
                             verdict,
                             status_.reason,
                             at_ms,
                             status_.EvidenceJson()};
  for (const auto& [name, sink] : sinks_) sink->OnSignal(signal);
}

void CanaryJudge::Rollout::JudgeThresholds(const Querier& querier, const promql::Engine& engine,
                                           UnixMs now_ms) {
  for (Threshold& t : thresholds_) {
    auto result = engine.Instant(*t.expression, querier, now_ms);
    if (!result) {
      log::Warn("A canary threshold could not be evaluated",
                {{"canary", config_.name},
                 {"threshold", t.config.expr},
                 {"error", result.error().ToString()}});
      continue;  // no data never fails a rollout
    }
    bool failing = false;
    double value = 0;
    auto look = [&](double v) {
      const bool bad = (t.config.max && v > *t.config.max) || (t.config.min && v < *t.config.min);
      if (bad && !std::isnan(v)) failing = true, value = v;
    };
    if (result->type == promql::ValueType::kScalar) look(result->scalar);
    for (const promql::VectorSample& s : result->vector) look(s.value);
    t.failed = failing ? t.failed + 1 : 0;
    if (t.failed >= t.config.failures && status_.verdict != Verdict::kBad)
      Decide(Verdict::kBad,
             fmt::format("{} is {} {} times in a row, outside its limits",
                         t.config.name.empty() ? t.config.expr : t.config.name, FormatFloat(value),
                         t.failed),
             now_ms);
  }
}

void CanaryJudge::Rollout::Evaluate(const Querier& querier, const promql::Engine& engine,
                                    UnixMs now_ms) {
  if (now_ms < due_ms_) return;
  due_ms_ = now_ms + config_.interval.count();
  for (Indicator& i : indicators_) ReadIndicator(i, querier, now_ms);
  first_ = false;
  if (status_.rollout_id.empty()) return;
  JudgeThresholds(querier, engine, now_ms);
  if (now_ms - status_.last_data_ms > config_.idle_reset.count()) End();
}

CanaryJudge::CanaryJudge() = default;
CanaryJudge::~CanaryJudge() = default;

Result<std::unique_ptr<CanaryJudge>> CanaryJudge::Make(std::vector<CanaryConfig> configs,
                                                       Needs needs) {
  std::unique_ptr<CanaryJudge> judge(new CanaryJudge());
  judge->needs_ = needs;
  for (CanaryConfig& c : configs) {
    std::vector<std::pair<std::string, std::shared_ptr<SignalSink>>> sinks;
    for (const std::string& name : c.signals) {
      auto it = needs.signals.find(name);
      if (it == needs.signals.end())
        return Fail(
            Error(ErrorKind::kInvalidArgument,
                  fmt::format(
                      "canary \"{}\" names the signal \"{}\", which is not under exporters.signals",
                      c.name, name)));
      sinks.emplace_back(name, it->second);
    }
    auto rollout = std::make_unique<Rollout>(std::move(c), std::move(sinks));
    PICKET_TRY(rollout->Prepare());
    judge->rollouts_.push_back(std::move(rollout));
  }
  if (needs.intake != nullptr && !judge->rollouts_.empty())
    judge->row_ = std::make_unique<FixedRow>(*needs.intake, "rules canary");
  return judge;
}

UnixMs CanaryJudge::Evaluate(UnixMs now_ms) {
  std::lock_guard lock(mutex_);
  UnixMs next = INT64_MAX;
  for (const auto& r : rollouts_) {
    r->Evaluate(*needs_.querier, *needs_.engine, now_ms);
    if (row_) r->Publish(*row_);
    next = std::min(next, r->due_ms());
  }
  if (row_) row_->Commit(now_ms);
  return next;
}

std::vector<CanaryStatus> CanaryJudge::Statuses() const {
  std::lock_guard lock(mutex_);
  std::vector<CanaryStatus> out;
  out.reserve(rollouts_.size());
  for (const auto& r : rollouts_) out.push_back(r->Read());
  return out;
}

}  // namespace picket::rules::canary
