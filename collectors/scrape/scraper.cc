// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/scraper.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>

#include "core/base/log.h"
#include "core/base/strings.h"

namespace picket::collectors::scrape {
namespace {

struct ReportedSeries {
  const char* name;
  const char* help;
};
constexpr ReportedSeries kReported[] = {
    {"up", "Whether the latest scrape of the target succeeded."},
    {"scrape_duration_seconds", "How long the scrape took."},
    {"scrape_samples_scraped", "Samples the target exposed."},
    {"scrape_samples_post_metric_relabeling", "Samples that were left after metric relabelling."},
    {"scrape_series_added", "About how many series were new in the scrape."},
    {"scrape_timeout_seconds", "The timeout of the target."},
    {"scrape_sample_limit", "The sample limit of the target; 0 is none."},
    {"scrape_body_size_bytes", "Bytes of the body, inflated; -1 if it was over its limit."},
};
constexpr size_t kUsual = 5;

/// Series of a target that stays down are kept this long, so that a restart of it costs nothing.
constexpr Duration kKeepSeries = std::chrono::minutes(5);

SeriesCache::Scratch& ScratchOfThread() {
  thread_local SeriesCache::Scratch scratch;
  return scratch;
}

std::string_view MediaType(Protocol protocol) {
  switch (protocol) {
    case Protocol::kOpenMetrics_1_0_0:
      return "application/openmetrics-text;version=1.0.0";
    case Protocol::kOpenMetrics_0_0_1:
      return "application/openmetrics-text;version=0.0.1";
    case Protocol::kText_1_0_0:
      return "text/plain;version=1.0.0";
    case Protocol::kText_0_0_4:
      return "text/plain;version=0.0.4";
    case Protocol::kPrometheusProto:
      break;
  }
  return "application/"
         "vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
}

Format FormatOf(Protocol protocol) {
  return protocol == Protocol::kOpenMetrics_1_0_0 || protocol == Protocol::kOpenMetrics_0_0_1
             ? Format::kOpenMetrics
             : Format::kText;
}

}  // namespace

std::string AcceptHeader(std::span<const Protocol> protocols, std::string_view escaping) {
  std::string accept;
  size_t weight = protocols.size() + 1;
  for (const Protocol protocol : protocols) {
    accept += MediaType(protocol);
    // Versions from 1.0.0 on know how names are to be escaped.
    if (protocol == Protocol::kOpenMetrics_1_0_0 || protocol == Protocol::kText_1_0_0)
      accept += fmt::format(";escaping={}", escaping);
    accept += fmt::format(";q=0.{},", weight--);
  }
  return accept + fmt::format("*/*;q=0.{}", weight);
}

Result<Format> FormatOf(std::string_view content_type, std::optional<Protocol> fallback) {
  const std::string_view media = Trim(content_type.substr(0, content_type.find(';')));
  if (net::EqualsNoCase(media, "application/openmetrics-text")) return Format::kOpenMetrics;
  if (net::EqualsNoCase(media, "text/plain")) return Format::kText;
  if (fallback) return FormatOf(*fallback);
  if (media.empty()) {
    return Fail(Error(ErrorKind::kUnsupported, "the target sent no Content-Type")
                    .Remedy("Set fallback_scrape_protocol, for instance to PrometheusText0.0.4."));
  }
  return Fail(
      Error(ErrorKind::kUnsupported, fmt::format("the target sent the Content-Type {}, which is no "
                                                 "exposition format that Picket reads",
                                                 JsonQuote(media)))
          .Remedy("Set fallback_scrape_protocol if it is one after all."));
}

struct TargetScraper::Outcome {
  Status status;
  ScrapeCounts counts;
  int64_t body_bytes = 0;  // -1: over the limit
  bool parsed = false;     // the body was looked at: counts say something
  bool cancelled = false;
};

TargetScraper::TargetScraper(ScrapeEnvironment environment, Target target, bool local,
                             std::shared_ptr<const JobOptions> options, JobCounters counters,
                             asio::any_io_executor where)
    : env_(environment),
      where_(where),
      local_(local),
      counters_(std::move(counters)),
      source_(env_.intake.OpenSource(fmt::format("scrape {} {}", options->job, target.address))),
      target_(std::move(target)),
      options_(std::move(options)),
      resolver_(env_.intake, source_, target_.labels),
      cache_(options_->cache),
      bell_(where) {
  resolver_.SetRules(options_->rules);
  status_ = {options_->job,
             target_.discovered,
             target_.labels,
             target_.url,
             TargetStatus::Health::kUnknown,
             {},
             0,
             Duration(0),
             target_.interval,
             target_.timeout,
             0,
             0,
             0};
}

TargetScraper::~TargetScraper() = default;

void TargetScraper::Update(Target target, std::shared_ptr<const JobOptions> options) {
  {
    std::lock_guard lock(mutex_);
    status_.discovered_labels = target.discovered;
    status_.interval = target.interval;
    status_.timeout = target.timeout;
    next_target_ = std::move(target);
    next_options_ = std::move(options);
  }
  bell_.Ring();
}

void TargetScraper::End(Ending ending) {
  {
    std::lock_guard lock(mutex_);
    ending_ = ending;
  }
  bell_.Ring();
}

// Takes over what a reload has left for this strand.
void TargetScraper::Adopt() {
  std::shared_ptr<const JobOptions> before;
  {
    std::lock_guard lock(mutex_);
    if (next_target_) target_ = *std::exchange(next_target_, std::nullopt);
    if (!next_options_) return;
    before = std::exchange(options_, std::exchange(next_options_, nullptr));
  }
  cache_.SetOptions(options_->cache);
  if (before->rules != options_->rules) {
    resolver_.SetRules(options_->rules);
    cache_.ResolveAgain();
  }
  if (before->extra_metrics != options_->extra_metrics) {
    for (const SeriesId id : tail_) env_.intake.Release(source_, id);
    tail_.clear();
    cache_.SetTail({});
  }
}

asio::awaitable<void> TargetScraper::Run() {
  UnixMs last_due = 0;
  while (true) {
    Adopt();
    {
      std::lock_guard lock(mutex_);
      if (ending_ != Ending::kNone) break;
    }
    const Schedule schedule(target_.interval, target_.hash);
    const UnixMs now = env_.clock.NowMs();
    const UnixMs due =
        schedule.After(std::max(now, last_due > now + schedule.interval_ms() ? 0 : last_due));
    const Milliseconds wait(std::min(due - now, schedule.interval_ms()));
    // co_await never stands in a condition: see core/net/runtime.h.
    const bool rung = co_await bell_.Wait(wait);
    if (rung) continue;  // something has changed
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none) break;
    if (last_due != 0 && counters_.skipped) {
      counters_.skipped->Add(
          static_cast<uint64_t>(std::max<int64_t>(0, schedule.Missed(last_due, due))));
    }
    last_due = due;
    co_await ScrapeOnce(schedule.Timestamp(due, env_.clock.NowMs()));
  }
  Finish();
}

void TargetScraper::Finish() {
  if (std::exchange(finished_, true)) return;
  Ending ending;
  {
    std::lock_guard lock(mutex_);
    ending = ending_;
  }
  if (ending == Ending::kRemoved) {
    SeriesCache::Row row = cache_.StaleRow();
    std::ranges::fill(row.tail, StaleNan());
    if (!row.series.empty())
      env_.intake.Append({source_, row.layout, env_.clock.NowMs(), row.series, row.values});
  }
  cache_.Clear(resolver_);
  for (const SeriesId id : tail_) env_.intake.Release(source_, id);
  tail_.clear();
  cache_.SetTail({});
  env_.intake.CloseSource(source_);
}

void TargetScraper::OpenTail() {
  if (!tail_.empty()) return;
  std::vector<SeriesId> ids;
  for (size_t i = 0; i < (options_->extra_metrics ? std::size(kReported) : kUsual); ++i) {
    LabelsBuilder labels(target_.labels);
    labels.Set(kMetricName, kReported[i].name);
    auto metadata = std::make_shared<MetricMetadata>(
        MetricMetadata{MetricType::kGauge, kReported[i].name, kReported[i].help, {}});
    Result<SeriesId> id = env_.intake.Intern(source_, labels.Build(), std::move(metadata));
    if (!id) {  // no room now; asked again at the next scrape
      for (const SeriesId held : ids) env_.intake.Release(source_, held);
      return;
    }
    ids.push_back(*id);
  }
  tail_ = std::move(ids);
  cache_.SetTail(tail_);
}

net::HttpRequest TargetScraper::Request(net::BodyBuffer& buffer) const {
  net::HttpRequest request;
  request.url = target_.url;
  request.headers.Add("Accept", options_->accept);
  request.headers.Add("X-Prometheus-Scrape-Timeout-Seconds",
                      FormatFloat(static_cast<double>(target_.timeout.count()) / 1000));
  request.timeout = target_.timeout;
  request.body_limit = options_->body_size_limit;
  // Inflating costs several times the parse: what comes from this node comes as it is.
  request.accept_gzip = options_->compression && !local_;
  request.into = &buffer;
  return request;
}

asio::awaitable<void> TargetScraper::ScrapeOnce(UnixMs timestamp_ms) {
  Adopt();
  OpenTail();
  const Duration begun = env_.clock.Steady();
  std::unique_ptr<net::BodyBuffer> buffer = env_.buffers.Take();
  Outcome outcome;
  if (options_->forced_error.empty()) {
    net::HttpRequest request = Request(*buffer);
    const std::shared_ptr<net::HttpClient> client =
        options_->client;  // a reload may replace it meanwhile
    const Result<net::HttpResponse> response = co_await client->Fetch(std::move(request));
    outcome = Consume(response, ScratchOfThread());
  } else {
    outcome.status = Fail(ErrorKind::kLimit, options_->forced_error);
  }
  const Duration took = env_.clock.Steady() - begun;
  if (!outcome.cancelled) {
    Write(outcome, timestamp_ms, took);
    Count(outcome);
    ReleaseAfterLongFailure(outcome);
    Publish(outcome, timestamp_ms, took);
  }
  env_.buffers.Give(std::move(buffer));
}

TargetScraper::Outcome TargetScraper::Consume(const Result<net::HttpResponse>& response,
                                              SeriesCache::Scratch& scratch) {
  Outcome out;
  if (!response) {
    out.status = Fail(response.error());
    out.cancelled = response.error().kind() == ErrorKind::kCancelled;
    if (response.error().kind() == ErrorKind::kLimit) out.body_bytes = -1;
    return out;
  }
  if (response->status != 200) {
    out.status =
        Fail(ErrorKind::kIo, fmt::format("the target answered HTTP status {} {}", response->status,
                                         net::StatusText(response->status)));
    return out;
  }
  out.body_bytes = static_cast<int64_t>(response->body.size());
  const Result<Format> format = FormatOf(response->headers.Get("Content-Type"), options_->fallback);
  if (!format) {
    out.status = Fail(format.error());
    return out;
  }
  out.parsed = true;
  out.status = cache_.Scan(response->body, *format, resolver_, scratch, out.counts);
  return out;
}

void TargetScraper::Write(const Outcome& outcome, UnixMs timestamp_ms, Duration took) {
  SeriesCache::Row row = outcome.status ? cache_.row() : cache_.StaleRow();
  FillTail(row.tail, outcome, took);
  if (!row.series.empty())
    env_.intake.Append({source_, row.layout, timestamp_ms, row.series, row.values});
  if (!outcome.status) return;
  if (!cache_.timed().empty()) env_.intake.AppendTimed(source_, cache_.timed());
  cache_.Commit(resolver_);
}

void TargetScraper::FillTail(std::span<double> tail, const Outcome& outcome, Duration took) const {
  const double values[] = {outcome.status ? 1.0 : 0.0,
                           static_cast<double>(took.count()) / 1e9,
                           static_cast<double>(outcome.counts.scraped),
                           static_cast<double>(outcome.counts.kept),
                           static_cast<double>(outcome.counts.added),
                           static_cast<double>(target_.timeout.count()) / 1000,
                           static_cast<double>(options_->cache.sample_limit),
                           static_cast<double>(outcome.body_bytes)};
  std::copy_n(values, std::min(tail.size(), std::size(values)), tail.begin());
}

void TargetScraper::Count(const Outcome& outcome) {
  (outcome.status ? counters_.up : counters_.down)->Add();
  if (outcome.body_bytes > 0) counters_.body_bytes->Add(static_cast<uint64_t>(outcome.body_bytes));
  if (!outcome.parsed) return;
  Balance& samples = *counters_.samples;
  const ScrapeCounts& c = outcome.counts;
  samples.In(c.scraped);
  if (!outcome.status) {
    const bool limit = outcome.status.error().kind() == ErrorKind::kLimit;
    samples.Drop(limit ? DropReason::kLimit : DropReason::kInvalid, c.scraped,
                 outcome.status.error().message());
    return;
  }
  samples.Out(c.kept - c.duplicates - c.refused - c.out_of_order);
  samples.Drop(DropReason::kFiltered, c.scraped - c.kept, target_.url);
  samples.Drop(DropReason::kDuplicate, c.duplicates, target_.url);
  samples.Drop(DropReason::kMemory, c.refused, target_.url);
  samples.Drop(DropReason::kOutOfOrder, c.out_of_order, target_.url);
}

void TargetScraper::Publish(const Outcome& outcome, UnixMs timestamp_ms, Duration took) {
  std::lock_guard lock(mutex_);
  const TargetStatus::Health before = status_.health;
  status_.health = outcome.status ? TargetStatus::Health::kUp : TargetStatus::Health::kDown;
  status_.last_scrape_ms = timestamp_ms;
  status_.last_duration = took;
  status_.series = cache_.series();
  cache_bytes_ = cache_.memory();
  if (outcome.status) {
    status_.last_error.clear();
    status_.samples = outcome.counts.scraped;
    status_.body_bytes = static_cast<uint64_t>(outcome.body_bytes);
    if (before == TargetStatus::Health::kDown) {
      log::Info("Target is up again", {{"job", options_->job}, {"url", target_.url}});
    }
    return;
  }
  const std::string error = outcome.status.error().message();
  if (before != TargetStatus::Health::kDown || error != status_.last_error) {
    log::Warn("Scrape failed", {{"job", options_->job}, {"url", target_.url}, {"error", error}});
  }
  status_.last_error = error;
}

void TargetScraper::ReleaseAfterLongFailure(const Outcome& outcome) {
  if (outcome.status) {
    failing_since_.reset();
    return;
  }
  const Duration now = env_.clock.Steady();
  if (!failing_since_) failing_since_ = now;
  if (now - *failing_since_ < std::max<Duration>(kKeepSeries, 10 * target_.interval)) return;
  if (cache_.entries() != 0) cache_.Clear(resolver_);
}

TargetStatus TargetScraper::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

size_t TargetScraper::cache_bytes() const {
  std::lock_guard lock(mutex_);
  return cache_bytes_;
}

}  // namespace picket::collectors::scrape
