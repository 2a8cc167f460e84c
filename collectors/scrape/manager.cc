// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/manager.h"

#include <algorithm>

#include "collectors/scrape/metrics.h"
#include "collectors/scrape/pool.h"
#include "core/base/strings.h"

namespace picket::collectors::scrape {
namespace {

JobCounters CountersOf(const ScrapeManager::Dependencies& deps, const std::string& job) {
  return {deps.balances.Open("scrape", job, "samples"),
          deps.telemetry.AddCounter(kScrapesRow, {{"job", job}, {"outcome", "up"}}),
          deps.telemetry.AddCounter(kScrapesRow, {{"job", job}, {"outcome", "down"}}),
          deps.telemetry.AddCounter(kSkippedRow, {{"job", job}}),
          deps.telemetry.AddCounter(kBodyBytesRow, {{"job", job}})};
}

}  // namespace

ScrapeManager::ScrapeManager(Dependencies dependencies)
    : deps_(std::move(dependencies)), tasks_(deps_.runtime) {
  const auto sum = [this](size_t (Pool::*of)() const) {
    return [this, of] {
      std::lock_guard lock(mutex_);
      double total = 0;
      for (const auto& [job, pool] : pools_) total += static_cast<double>((*pool.*of)());
      return total;
    };
  };
  callbacks_.push_back(deps_.telemetry.AddCallback(kTargetsRow, {}, sum(&Pool::targets)));
  callbacks_.push_back(deps_.telemetry.AddCallback(kCacheBytesRow, {}, sum(&Pool::cache_bytes)));
  callbacks_.push_back(deps_.telemetry.AddCallback(kSeriesRow, {}, sum(&Pool::series)));
}

ScrapeManager::~ScrapeManager() {
  callbacks_.clear();
  Stop(Duration(0));
}

Status ScrapeManager::ApplyConfig(std::shared_ptr<const Config> config) {
  std::lock_guard lock(mutex_);
  if (stopped_) return Fail(ErrorKind::kCancelled, "the scrape manager has been stopped");
  // Everything that can fail comes first, so that a bad configuration changes nothing.
  std::vector<std::pair<std::shared_ptr<Pool>, std::unique_ptr<Pool::Prepared>>> prepared;
  std::map<std::string, std::shared_ptr<Pool>> pools;
  for (const ScrapeConfig& job : config->scrape_configs) {
    const auto it = pools_.find(job.job_name);
    const std::shared_ptr<Pool> pool =
        it != pools_.end()
            ? it->second
            : std::make_shared<Pool>(
                  ScrapeEnvironment{deps_.runtime, deps_.intake, deps_.clock, buffers_},
                  discovery::Environment{deps_.runtime, deps_.clock, deps_.telemetry, job.job_name,
                                         deps_.user_agent},
                  tasks_, CountersOf(deps_, job.job_name));
    PICKET_ASSIGN(std::unique_ptr<Pool::Prepared> p, pool->Prepare(job, config->global));
    pools.emplace(job.job_name, pool);
    prepared.emplace_back(pool, std::move(p));
  }
  for (const auto& [job, pool] : pools_) {
    if (!pools.contains(job)) pool->End(TargetScraper::Ending::kRemoved);
  }
  pools_ = std::move(pools);
  for (auto& [pool, p] : prepared) pool->Apply(std::move(p));
  return {};
}

void ScrapeManager::Stop(Duration deadline) {
  {
    std::lock_guard lock(mutex_);
    if (!std::exchange(stopped_, true)) {
      for (const auto& [job, pool] : pools_) pool->End(TargetScraper::Ending::kShutdown);
    }
  }
  tasks_.Stop(deadline);
}

std::vector<TargetStatus> ScrapeManager::Targets() const {
  std::vector<TargetStatus> out;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [job, pool] : pools_) pool->AppendStatus(out);
  }
  std::ranges::stable_sort(out, {}, [](const TargetStatus& t) { return std::tie(t.job, t.url); });
  return out;
}

std::vector<DroppedTarget> ScrapeManager::Dropped() const {
  std::vector<DroppedTarget> out;
  std::lock_guard lock(mutex_);
  for (const auto& [job, pool] : pools_) pool->AppendDropped(out);
  return out;
}

std::map<std::string, std::vector<std::string>> ScrapeManager::DiscoveryErrors() const {
  std::map<std::string, std::vector<std::string>> out;
  std::lock_guard lock(mutex_);
  for (const auto& [job, pool] : pools_) {
    if (auto errors = pool->DiscoveryErrors(); !errors.empty()) out.emplace(job, std::move(errors));
  }
  return out;
}

std::string ScrapeManager::TargetsJson(const Selection& selection) const {
  const auto asked = [&](const std::string& job) {
    return selection.job.empty() || selection.job == job;
  };
  std::string out = "{\"activeTargets\":[";
  if (selection.active)
    for (const TargetStatus& target : Targets()) {
      if (!asked(target.job)) continue;
      if (out.back() == '}') out += ',';
      AppendTargetJson(out, target);
    }
  out += "],\"droppedTargets\":[";
  if (!selection.dropped) return out + "],\"droppedTargetCounts\":null}";
  std::map<std::string, size_t> counts;  // of all jobs, whichever was asked for
  for (const DroppedTarget& target : Dropped()) {
    ++counts[target.job];
    if (!asked(target.job)) continue;
    if (out.back() == '}') out += ',';
    AppendDroppedJson(out, target);
  }
  out += "],\"droppedTargetCounts\":{";
  for (const auto& [job, count] : counts) {
    if (out.back() != '{') out += ',';
    AppendJsonQuoted(out, job);
    out += ':' + std::to_string(count);
  }
  return out + "}}";
}

}  // namespace picket::collectors::scrape
