// SPDX-License-Identifier: Apache-2.0
#include "exporters/otlp/batcher.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace picket::exporters::otlp {

namespace asio = net::asio;
using spool::SendOutcome;

Batcher::Batcher(asio::any_io_executor where, std::shared_ptr<net::Tasks> tasks,
                 std::unique_ptr<Client> client, const BatchConfig& config, uint32_t concurrency)
    : where_(std::move(where)),
      tasks_(std::move(tasks)),
      client_(std::move(client)),
      config_(config),
      concurrency_(concurrency),
      timer_(where_) {}

asio::awaitable<SendOutcome> Batcher::Send(spool::Outgoing out) {
  const auto self = shared_from_this();
  auto waiter = std::make_shared<Waiter>(where_, out);
  Enqueue(waiter);
  boost::system::error_code ec;
  if (!waiter->outcome)
    co_await waiter->settled.async_wait(asio::redirect_error(asio::use_awaitable, ec));
  if (waiter->outcome) co_return *std::move(waiter->outcome);
  // Cancelled: the body goes away with this coroutine.
  waiter->gone = true;
  if (const auto it = std::find(queue_.begin(), queue_.end(), waiter); it != queue_.end()) {
    queued_bytes_ -= waiter->out.body.size();
    queue_.erase(it);
  }
  co_return SendOutcome::Retry("cancelled");
}

void Batcher::Enqueue(std::shared_ptr<Waiter> waiter) {
  queued_bytes_ += waiter->out.body.size();
  queue_.push_back(std::move(waiter));
  if (!timing_ && !due_) {
    timing_ = true;
    timer_.expires_after(config_.max_wait);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code) {
      const auto self = weak.lock();
      if (!self) return;
      self->timing_ = false;
      self->due_ = true;
      self->Pump();
    });
  }
  if (Ready()) Pump();
}

/// Waiting for more pays for small bodies only; a queue that is deep anyway is not to be slowed
/// down by it.
bool Batcher::Ready() const {
  static constexpr size_t kEnough = 256 << 10;
  return due_ || queued_bytes_ >= std::min<size_t>(config_.max_bytes.value, kEnough) ||
         queue_.size() >= spool::kLanes / 2;
}

void Batcher::Pump() {
  while (!closed_ && in_flight_ < concurrency_ && !queue_.empty() && Ready()) {
    ++in_flight_;
    Batch batch = TakeBatch();
    tasks_->Start(where_, "otlp request", Run(shared_from_this(), std::move(batch)));
  }
  if (queue_.empty()) due_ = false;
}

Batcher::Batch Batcher::TakeBatch() {
  Batch batch;
  size_t bytes = 0;
  while (!queue_.empty()) {
    const size_t size = queue_.front()->out.body.size();
    if (!batch.empty() && bytes + size > config_.max_bytes.value) break;
    bytes += size;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_bytes_ -= bytes;
  return batch;
}

asio::awaitable<void> Batcher::Run(std::shared_ptr<Batcher> self, Batch batch) {
  std::erase_if(batch, [](const auto& w) { return w->gone; });
  Body body;
  uint32_t spans = 0;
  for (const auto& w : batch) {
    body.Add(w->out.body, w->out.keep);
    spans += w->out.info.items;
  }
  if (!batch.empty()) {
    SendOutcome outcome = co_await self->client_->Export(std::move(body), spans);
    const bool apart = batch.size() > 1 && (outcome.kind == SendOutcome::Kind::kDrop ||
                                            outcome.kind == SendOutcome::Kind::kTooLarge);
    if (!apart) Share(batch, outcome);
    for (const auto& w : batch) {
      if (!apart || w->gone) continue;
      Body one;
      one.Add(w->out.body, w->out.keep);
      const uint32_t items = w->out.info.items;
      SendOutcome own = co_await self->client_->Export(std::move(one), items);
      Settle(*w, std::move(own));
    }
  }
  --self->in_flight_;
  self->Pump();
}

void Batcher::Settle(Waiter& waiter, SendOutcome outcome) {
  waiter.outcome = std::move(outcome);
  waiter.settled.cancel();
}

/// The backend says how many spans of a request it did not take, not which: they are spread from
/// the front, so that the sum is exact.
void Batcher::Share(const Batch& batch, const SendOutcome& outcome) {
  uint32_t rejected = outcome.rejected;
  for (const auto& w : batch) {
    SendOutcome own = outcome;
    own.rejected = std::min(rejected, w->out.info.items);
    rejected -= own.rejected;
    if (!w->gone) Settle(*w, std::move(own));
  }
}

}  // namespace picket::exporters::otlp
