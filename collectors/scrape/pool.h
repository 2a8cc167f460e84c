// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "collectors/discovery/discoverer.h"
#include "collectors/scrape/scraper.h"
#include "core/config/digest.h"

namespace picket::collectors::scrape {

/// One job: its discovery and its targets. Threads: all methods from any thread.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(ScrapeEnvironment environment, discovery::Environment discovery, net::Tasks& tasks,
       JobCounters counters);
  ~Pool();

  /// Adopts settings; targets that stay go on. Errors: the HTTP settings cannot work; nothing has
  /// changed then.
  struct Prepared {
    std::shared_ptr<const ScrapeConfig> job;
    JobSettings settings;
    std::shared_ptr<JobOptions> options;
    config::Digest all, http, discovery;  ///< with their secrets
    std::string rules_text;
  };
  Result<std::unique_ptr<Prepared>> Prepare(const ScrapeConfig& job,
                                            const GlobalConfig& global) const;
  void Apply(std::unique_ptr<Prepared> prepared);
  /// Ends every target and the discovery.
  void End(TargetScraper::Ending ending);

  void AppendStatus(std::vector<TargetStatus>& out) const;
  void AppendDropped(std::vector<DroppedTarget>& out) const;
  std::vector<std::string> DiscoveryErrors() const;
  size_t targets() const;
  size_t cache_bytes() const;
  size_t series() const;

 private:
  struct Discovery;
  asio::awaitable<void> Discover(std::shared_ptr<Discovery> discovery);
  void Sync(const std::shared_ptr<Discovery>& discovery);
  std::map<uint64_t, Target> Build(const Discovery& discovery);

  ScrapeEnvironment env_;
  const discovery::Environment discovery_env_;
  net::Tasks& tasks_;
  const JobCounters counters_;
  const LocalAddresses local_;

  mutable std::mutex mutex_;   // guards what follows
  config::Digest all_, http_;  // to tell what a reload changes
  std::string rules_text_;
  std::shared_ptr<const ScrapeConfig> job_;
  JobSettings settings_;
  std::shared_ptr<const JobOptions> options_;
  std::shared_ptr<Discovery> discovery_;
  std::map<uint64_t, std::shared_ptr<TargetScraper>> scrapers_;
  std::vector<DroppedTarget> dropped_;
  size_t dropped_total_ = 0;
};

}  // namespace picket::collectors::scrape
