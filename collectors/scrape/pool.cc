// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include "core/base/log.h"

namespace picket::collectors::scrape {
namespace {

std::shared_ptr<const SampleRules> Rules(const ScrapeConfig& job, const JobSettings& s) {
  return std::make_shared<SampleRules>(
      SampleRules{job.honor_labels, s.legacy_names, s.label_limit, s.label_name_length_limit,
                  s.label_value_length_limit, job.metric_relabel_configs});
}

/// What of the settings decides about the labels of samples.
std::string RulesText(const ScrapeConfig& job, const JobSettings& s) {
  std::string text =
      fmt::format("{} {} {} {} {}\n", job.honor_labels, s.legacy_names, s.label_limit,
                  s.label_name_length_limit, s.label_value_length_limit);
  for (const relabel::Config& step : job.metric_relabel_configs)
    text += config::ToYaml(step, config::PrintWhat::kAll) + "---\n";
  return text;
}

std::string Escaping(const ScrapeConfig& job, const GlobalConfig& global, bool legacy) {
  const auto& own = job.own.metric_name_escaping_scheme;
  const auto& all = global.defaults.metric_name_escaping_scheme;
  return own ? *own : all ? *all : legacy ? "underscores" : "allow-utf-8";
}

std::shared_ptr<JobOptions> Options(const ScrapeConfig& job, const GlobalConfig& global,
                                    const JobSettings& s) {
  auto options = std::make_shared<JobOptions>();
  options->job = job.job_name;
  options->accept = AcceptHeader(s.protocols, Escaping(job, global, s.legacy_names));
  options->fallback = job.fallback_scrape_protocol;
  options->body_size_limit = s.body_size_limit;
  options->cache = {job.honor_timestamps, job.track_timestamps_staleness, s.sample_limit};
  options->compression = job.enable_compression;
  options->extra_metrics = s.extra_metrics;
  return options;
}

}  // namespace

/// The discoverers of a job under one configuration, and the bell that says that one of them has
/// news or that they end.
struct Pool::Discovery {
  Discovery(std::vector<std::shared_ptr<discovery::Discoverer>> all, config::Digest d,
            asio::any_io_executor executor)
      : digest(d), where(std::move(executor)), bell(where), discoverers(std::move(all)) {
    for (const auto& one : discoverers) {
      const Milliseconds every = one->poll_interval();
      if (every.count() > 0 && (interval.count() == 0 || every < interval)) interval = every;
    }
  }
  const config::Digest digest;
  asio::any_io_executor where;
  net::Bell bell;
  std::atomic<bool> ended{false};
  std::mutex mutex;  // guards discoverers while they are polled
  const std::vector<std::shared_ptr<discovery::Discoverer>> discoverers;
  Milliseconds interval{0};  // 0: nothing changes unless the bell rings

  bool Poll() {
    std::lock_guard lock(mutex);
    bool changed = false;
    for (const auto& d : discoverers) changed |= d->Poll();
    return changed;
  }
  void End() {
    ended = true;
    for (const auto& d : discoverers) d->End();
    bell.Ring();
  }
};

Pool::Pool(ScrapeEnvironment environment, discovery::Environment discovery, net::Tasks& tasks,
           JobCounters counters)
    : env_(environment),
      discovery_env_(std::move(discovery)),
      tasks_(tasks),
      counters_(std::move(counters)),
      local_(LocalAddresses::Read()) {}

Pool::~Pool() = default;

Result<std::unique_ptr<Pool::Prepared>> Pool::Prepare(const ScrapeConfig& job,
                                                      const GlobalConfig& global) const {
  auto p = std::make_unique<Prepared>();
  p->job = std::make_shared<const ScrapeConfig>(job);
  p->settings = Resolve(job, global);
  p->options = Options(job, global, p->settings);
  p->http = config::DigestOf(job.http);
  p->discovery = config::DigestOf(job.discovery);
  p->rules_text = RulesText(job, p->settings);
  p->all = config::DigestOf(job).Add(config::DigestOf(global.defaults));
  std::lock_guard lock(mutex_);
  if (options_ && http_ == p->http) {
    p->options->client = options_->client;  // and with it the connections
  } else {
    // Each target keeps one connection.
    net::HttpClientOptions options;
    options.user_agent = discovery_env_.user_agent;
    options.idle_per_origin = 2;
    options.idle_timeout = std::max<Milliseconds>(options.idle_timeout, 2 * p->settings.interval);
    auto client = std::make_shared<net::HttpClient>(env_.runtime, job.http, options);
    if (Status status = client->Check(); !status) {
      return Fail(std::move(status).error().Context(fmt::format("scrape job {}", job.job_name)));
    }
    p->options->client = std::move(client);
  }
  p->options->rules =
      options_ && rules_text_ == p->rules_text ? options_->rules : Rules(job, p->settings);
  return p;
}

void Pool::Apply(std::unique_ptr<Prepared> p) {
  std::shared_ptr<Discovery> discovery;
  bool other = false;
  {
    std::lock_guard lock(mutex_);
    if (options_ && all_ == p->all) return;
    all_ = p->all;
    http_ = p->http;
    rules_text_ = std::move(p->rules_text);
    job_ = std::move(p->job);
    settings_ = std::move(p->settings);
    options_ = std::move(p->options);
    other = !discovery_ || discovery_->digest != p->discovery;
    if (other) {
      if (discovery_) discovery_->End();
      discovery_ =
          std::make_shared<Discovery>(discovery::MakeDiscoverers(job_->discovery, discovery_env_),
                                      p->discovery, env_.runtime.Next());
    }
    discovery = discovery_;
  }
  discovery->Poll();
  Sync(discovery);
  if (!other) return;
  bool rings = false;
  for (const auto& d : discovery->discoverers) {
    rings |= d->Start(tasks_, [weak = std::weak_ptr(discovery)] {
      if (const auto alive = weak.lock()) alive->bell.Ring();
    });
  }
  if (rings || discovery->interval.count() > 0)
    tasks_.Start(discovery->where, "target discovery", Discover(discovery));
}

asio::awaitable<void> Pool::Discover(std::shared_ptr<Discovery> discovery) {
  const std::shared_ptr<Pool> keep = shared_from_this();
  const Duration wait = discovery->interval.count() > 0 ? Duration(discovery->interval)
                                                        : Duration(std::chrono::hours(1));
  while (!discovery->ended) {
    // co_await never stands in a condition: see core/net/runtime.h.
    co_await discovery->bell.Wait(wait);
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none) co_return;
    if (discovery->ended) co_return;
    std::function<void()> poll = [keep, discovery] {
      if (discovery->Poll()) keep->Sync(discovery);
    };
    co_await env_.runtime.RunBlocking(std::move(poll));
  }
}

// Makes the targets that run those that are discovered.
void Pool::Sync(const std::shared_ptr<Discovery>& discovery) {
  std::lock_guard lock(mutex_);
  if (discovery != discovery_ || discovery->ended) return;
  std::map<uint64_t, Target> targets = Build(*discovery);
  std::shared_ptr<const JobOptions> options = options_;
  if (settings_.target_limit != 0 && targets.size() > settings_.target_limit) {
    auto failing = std::make_shared<JobOptions>(*options_);
    failing->forced_error = fmt::format("{} targets exceed the target_limit of {}", targets.size(),
                                        settings_.target_limit);
    options = std::move(failing);
  }
  std::erase_if(scrapers_, [&](const auto& entry) {
    if (targets.contains(entry.first)) return false;
    entry.second->End(TargetScraper::Ending::kRemoved);
    return true;
  });
  for (auto& [hash, target] : targets) {
    std::shared_ptr<TargetScraper>& scraper = scrapers_[hash];
    if (scraper) {
      scraper->Update(std::move(target), options);
      continue;
    }
    const bool local = local_.Contains(target.address);
    const std::string what = "scrape " + target.url;
    const asio::any_io_executor where = env_.runtime.Next();
    scraper =
        std::make_shared<TargetScraper>(env_, std::move(target), local, options, counters_, where);
    const auto run = [](std::shared_ptr<TargetScraper> s) -> asio::awaitable<void> {
      co_await s->Run();
    };
    tasks_.Start(where, what, run(scraper));
  }
}

std::map<uint64_t, Target> Pool::Build(const Discovery& discovery) {
  std::map<uint64_t, Target> targets;
  dropped_.clear();
  dropped_total_ = 0;
  const auto drop = [&](Labels discovered, std::string error) {
    ++dropped_total_;
    if (!error.empty() || settings_.keep_dropped_targets == 0 ||
        dropped_.size() < settings_.keep_dropped_targets) {
      dropped_.push_back({job_->job_name, std::move(discovered), std::move(error)});
    }
  };
  for (const auto& discoverer : discovery.discoverers) {
    for (const discovery::TargetGroup& group : discoverer->groups()) {
      for (const Labels& labels : group.targets) {
        Labels discovered = DiscoveredLabels(labels, group.labels, *job_, settings_);
        Result<std::optional<Target>> target = MakeTarget(discovered, *job_);
        if (!target) {
          const std::string error = target.error().ToString();
          log::Warn("Target cannot be scraped",
                    {{"job", job_->job_name}, {"group", group.source}, {"error", error}});
          drop(std::move(discovered), error);
        } else if (!*target) {
          drop(std::move(discovered), {});
        } else {
          const uint64_t hash = (*target)->hash;
          targets.try_emplace(hash, **std::move(target));
        }
      }
    }
  }
  return targets;
}

void Pool::End(TargetScraper::Ending ending) {
  std::lock_guard lock(mutex_);
  if (discovery_) discovery_->End();
  for (const auto& [hash, scraper] : scrapers_) scraper->End(ending);
  if (ending == TargetScraper::Ending::kRemoved) scrapers_.clear();
}

void Pool::AppendStatus(std::vector<TargetStatus>& out) const {
  std::lock_guard lock(mutex_);
  for (const auto& [hash, scraper] : scrapers_) out.push_back(scraper->status());
}

void Pool::AppendDropped(std::vector<DroppedTarget>& out) const {
  std::lock_guard lock(mutex_);
  out.insert(out.end(), dropped_.begin(), dropped_.end());
}

std::vector<std::string> Pool::DiscoveryErrors() const {
  std::shared_ptr<Discovery> discovery;
  {
    std::lock_guard lock(mutex_);
    discovery = discovery_;
  }
  std::vector<std::string> errors;
  if (!discovery) return errors;
  std::lock_guard lock(discovery->mutex);
  for (const auto& d : discovery->discoverers)
    errors.insert(errors.end(), d->errors().begin(), d->errors().end());
  return errors;
}

size_t Pool::targets() const {
  std::lock_guard lock(mutex_);
  return scrapers_.size();
}

size_t Pool::cache_bytes() const {
  std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [hash, scraper] : scrapers_) bytes += scraper->cache_bytes();
  return bytes;
}

size_t Pool::series() const {
  std::lock_guard lock(mutex_);
  size_t series = 0;
  for (const auto& [hash, scraper] : scrapers_) series += scraper->status().series;
  return series;
}

}  // namespace picket::collectors::scrape
