// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/net/runtime.h"
#include "core/spool/sender.h"
#include "exporters/otlp/client.h"

namespace picket::exporters::otlp {

/// Joins records that are on their way at the same time into one request, and gives each of them
/// its own outcome. A request that is refused for good, or for its size, is sent again record by
/// record, so that one pusher's bytes cannot take those of others with them. Threads: everything on
/// one executor, the sender's. Ownership: shared with the requests in flight.
class Batcher : public std::enable_shared_from_this<Batcher> {
 public:
  Batcher(net::asio::any_io_executor where, std::shared_ptr<net::Tasks> tasks,
          std::unique_ptr<Client> client, const BatchConfig& config, uint32_t concurrency);

  /// No request begins after it. From any thread.
  void Close() { closed_ = true; }
  /// A spool::Transport.
  net::asio::awaitable<spool::SendOutcome> Send(spool::Outgoing out);

 private:
  struct Waiter {
    Waiter(const net::asio::any_io_executor& where, spool::Outgoing o) : out(o), settled(where) {
      settled.expires_at(net::asio::steady_timer::time_point::max());
    }
    spool::Outgoing out;  ///< its body lives while Send waits, that is, until `gone`
    std::optional<spool::SendOutcome> outcome;
    bool gone = false;
    net::asio::steady_timer settled;  ///< cancelled when there is an outcome
  };
  using Batch = std::vector<std::shared_ptr<Waiter>>;

  void Enqueue(std::shared_ptr<Waiter> waiter);
  void Pump();
  bool Ready() const;
  Batch TakeBatch();
  static net::asio::awaitable<void> Run(std::shared_ptr<Batcher> self, Batch batch);
  static void Settle(Waiter& waiter, spool::SendOutcome outcome);
  static void Share(const Batch& batch, const spool::SendOutcome& outcome);

  const net::asio::any_io_executor where_;
  const std::shared_ptr<net::Tasks> tasks_;
  const std::unique_ptr<Client> client_;
  const BatchConfig config_;
  const uint32_t concurrency_;
  std::deque<std::shared_ptr<Waiter>> queue_;
  size_t queued_bytes_ = 0;
  bool due_ = false;  ///< the first in the queue has waited long enough
  bool timing_ = false;
  net::asio::steady_timer timer_;
  uint32_t in_flight_ = 0;
  std::atomic<bool> closed_{false};
};

}  // namespace picket::exporters::otlp
