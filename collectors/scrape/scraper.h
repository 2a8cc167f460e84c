// SPDX-License-Identifier: Apache-2.0
// One target, scraped for as long as it is there.
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "collectors/scrape/cache.h"
#include "collectors/scrape/resolver.h"
#include "collectors/scrape/schedule.h"
#include "collectors/scrape/status.h"
#include "collectors/scrape/target.h"
#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/net/http_client.h"
#include "core/net/runtime.h"

namespace picket::collectors::scrape {

namespace asio = boost::asio;

/// What the targets of a job share. Immutable; replaced on reload.
struct JobOptions {
  std::string job;
  std::shared_ptr<net::HttpClient> client;
  std::shared_ptr<const SampleRules> rules;  ///< the same object as long as the rules are the same
  std::string accept;
  std::optional<Protocol> fallback;
  uint64_t body_size_limit = 0;
  SeriesCache::Options cache;
  bool compression = true;
  bool extra_metrics = false;
  std::string forced_error;  ///< every scrape fails with this: target_limit
};

/// What a scraper works with. Everything outlives it.
struct ScrapeEnvironment {
  net::Runtime& runtime;
  MetricIntake& intake;
  const Clock& clock;
  net::BufferPool& buffers;
};

/// Counters of a job.
struct JobCounters {
  std::shared_ptr<Balance> samples;
  std::shared_ptr<Counter> up, down, skipped, body_bytes;
};

/// The Accept header for these formats, the first liked most.
std::string AcceptHeader(std::span<const Protocol> protocols, std::string_view escaping);
/// How to read a body of this Content-Type. Errors: kUnsupported (protobuf, anything else without a
/// fallback).
Result<Format> FormatOf(std::string_view content_type, std::optional<Protocol> fallback);

/// Scrapes one target into one source of the intake: its series, and `up` with its like.
/// Errors: a scrape that fails for any reason ends all series with staleness markers and writes
/// `up` 0. Threads: Run on one executor; the other methods from any thread.
class TargetScraper {
 public:
  TargetScraper(ScrapeEnvironment environment, Target target, bool local,
                std::shared_ptr<const JobOptions> options, JobCounters counters,
                asio::any_io_executor where);
  ~TargetScraper();

  /// Scrapes at the target's instants until End.
  asio::awaitable<void> Run();
  /// One scrape now, whose samples get this time.
  asio::awaitable<void> ScrapeOnce(UnixMs timestamp_ms);

  /// From the next scrape on. New rules make every series be resolved again; nothing else is lost.
  void Update(Target target, std::shared_ptr<const JobOptions> options);
  enum class Ending : uint8_t {
    kNone,
    kRemoved,   ///< the target is gone: its series get staleness markers
    kShutdown,  ///< the agent is: they do not
  };
  /// A scrape in flight is finished first.
  void End(Ending ending);
  /// What follows Run: markers where they belong, and the source is closed.
  void Finish();

  TargetStatus status() const;
  size_t cache_bytes() const;
  const asio::any_io_executor& where() const { return where_; }

 private:
  struct Outcome;
  void Adopt();
  void OpenTail();
  net::HttpRequest Request(net::BodyBuffer& buffer) const;
  Outcome Consume(const Result<net::HttpResponse>& response, SeriesCache::Scratch& scratch);
  void Write(const Outcome& outcome, UnixMs timestamp_ms, Duration took);
  void FillTail(std::span<double> tail, const Outcome& outcome, Duration took) const;
  void Count(const Outcome& outcome);
  void Publish(const Outcome& outcome, UnixMs timestamp_ms, Duration took);
  void ReleaseAfterLongFailure(const Outcome& outcome);

  ScrapeEnvironment env_;
  const asio::any_io_executor where_;
  const bool local_;
  JobCounters counters_;
  const SourceId source_;
  Target target_;                              // of the scraping strand
  std::shared_ptr<const JobOptions> options_;  // likewise
  TargetResolver resolver_;
  SeriesCache cache_;
  std::vector<SeriesId> tail_;
  bool finished_ = false;
  std::optional<Duration> failing_since_;
  net::Bell bell_;

  mutable std::mutex mutex_;  // guards what follows
  std::optional<Target> next_target_;
  std::shared_ptr<const JobOptions> next_options_;
  Ending ending_ = Ending::kNone;
  TargetStatus status_;
  size_t cache_bytes_ = 0;
};

}  // namespace picket::collectors::scrape
