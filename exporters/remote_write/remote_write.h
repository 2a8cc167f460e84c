// SPDX-License-Identifier: Apache-2.0
// A Prometheus remote-write destination.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>

#include "core/budget/budget.h"
#include "core/model/delivery.h"
#include "core/model/metrics.h"
#include "core/net/runtime.h"
#include "core/spool/sender.h"
#include "core/spool/spool.h"
#include "exporters/remote_write/config.h"

namespace picket::exporters::remote_write {

/// What the program gives every destination. Ownership: all pointers outlive the destination.
struct RemoteWriteContext {
  net::Runtime* runtime = nullptr;
  BalanceBook* balances = nullptr;
  Telemetry* telemetry = nullptr;
  Labels external_labels;       ///< of the global block
  std::string version = "dev";  ///< for User-Agent
  /// Directory is the root of all remote-write queues; empty: memory. Each destination has a folder
  /// of its own in it.
  spool::SpoolOptions spool;
  const Clock* clock = &SystemClock::Get();
  std::function<std::unique_ptr<spool::Alarm>(boost::asio::any_io_executor)>
      make_alarm;  ///< for tests
  uint64_t seed = 0;
};

/// Rows in, requests out, everything in between on disk.
/// Balance (unit "samples", component "remote_write"): in at OnRow and OnTimed; out when the
/// backend has it; dropped by reason; the rest is queued, and in again after a restart. Loss at
/// kill -9: samples of sources below a quarter of max_samples_per_send may wait in memory for
/// batch_send_deadline; all others are in the spool when OnRow returns. Threads: as SampleSink.
/// Cost: OnRow patches a template, compresses, and writes to the page cache.
class RemoteWrite final : public SampleSink {
 public:
  /// Errors: kOverloaded when another process holds the queue; kInvalidArgument.
  static Result<std::unique_ptr<RemoteWrite>> Make(RemoteWriteConfig config,
                                                   RemoteWriteContext context);
  /// What is in flight is cancelled and stays in the queue.
  ~RemoteWrite() override;

  /// Starts sending, also what an earlier process left.
  void Start();
  /// Hands the batches to the queue, then sends until all is out or the time is over. Rows may not
  /// come any more.
  boost::asio::awaitable<void> Stop(Duration within);

  void OnSeries(SeriesId id, const Labels& labels,
                const std::shared_ptr<const MetricMetadata>& metadata) override;
  void OnSeriesGone(SeriesId id) override;
  void OnSourceGone(SourceId source) override;
  void OnRow(const SampleRow& row) override;
  void OnTimed(SourceId source, std::span<const TimedSample> samples) override;

  /// Name and URL for the page, without credentials.
  const std::string& name() const;
  std::string url() const;
  const std::string& directory() const;  ///< of its queue; empty: memory
  struct Stats {
    spool::Sender::Stats sender;
    spool::Spool::Stats spool;
    uint64_t pending_samples = 0;  ///< in batches, not in the spool yet
    bool v2 = false;
  };
  Stats Read() const;

 private:
  class Impl;
  explicit RemoteWrite(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

/// The name of a destination without one: host and a short hash of the URL, stable over restarts.
std::string DefaultName(const std::string& url);

}  // namespace picket::exporters::remote_write
