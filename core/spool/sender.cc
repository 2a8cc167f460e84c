// SPDX-License-Identifier: Apache-2.0
#include "core/spool/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <mutex>
#include <random>

#include "core/base/log.h"
#include "core/spool/metrics.h"

namespace picket::spool {

namespace asio = boost::asio;

SendOutcome SendOutcome::Delivered(uint32_t rejected, std::string message) {
  SendOutcome o;
  o.rejected = rejected;
  o.message = std::move(message);
  return o;
}
SendOutcome SendOutcome::Retry(std::string message, int status, std::optional<Duration> after) {
  SendOutcome o;
  o.kind = Kind::kRetry;
  o.message = std::move(message);
  o.status = status;
  o.retry_after = after;
  return o;
}
SendOutcome SendOutcome::Drop(DropReason reason, std::string message, int status) {
  SendOutcome o;
  o.kind = Kind::kDrop;
  o.reason = reason;
  o.message = std::move(message);
  o.status = status;
  return o;
}
SendOutcome SendOutcome::TooLarge(std::string message, int status) {
  SendOutcome o;
  o.kind = Kind::kTooLarge;
  o.reason = DropReason::kTooLarge;
  o.message = std::move(message);
  o.status = status;
  return o;
}

namespace {

// A record that was too large, and what has become of its pieces so far.
struct SplitWork {
  Delivery delivery;
  std::deque<Piece> pieces;
  uint32_t delivered = 0;
  std::vector<std::pair<DropReason, uint32_t>> dropped;
  std::string detail;
};

struct Lane {
  std::optional<Delivery> whole;  ///< in flight as it is
  std::optional<SplitWork> split;
  bool busy = false;
  uint32_t attempts = 0;  ///< of the present record or piece
  uint32_t choked = 0;    ///< answers 5xx to it in a row
  Duration not_before{0};
  Duration last_attempt{0};
  asio::cancellation_signal cancel;
};

constexpr size_t kMaxSplitPieces = 4096;

}  // namespace

class Sender::Impl : public std::enable_shared_from_this<Sender::Impl> {
 public:
  Impl(asio::any_io_executor executor, std::unique_ptr<Consumer> consumer, Transport transport,
       SenderOptions options, Splitter splitter)
      : executor_(std::move(executor)),
        consumer_(std::move(consumer)),
        transport_(std::move(transport)),
        options_(std::move(options)),
        splitter_(std::move(splitter)),
        random_(options_.seed != 0 ? options_.seed : std::random_device{}()),
        drained_(executor_, asio::steady_timer::time_point::max()) {
    const auto make = [this] {
      return options_.make_alarm ? options_.make_alarm(executor_)
                                 : MakeAlarm(executor_, *options_.clock);
    };
    alarm_ = make();
    deadline_ = make();
  }

  void Start() {
    RegisterMetrics();
    consumer_->SetWaker([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Schedule();
    });
    Schedule();
  }

  /// Runs Pump soon on the executor; many calls make one.
  void Schedule() {
    if (scheduled_.exchange(true)) return;
    asio::post(executor_, [self = shared_from_this()] {
      self->scheduled_ = false;
      self->Pump();
    });
  }

  void Abort() {
    asio::post(executor_, [self = shared_from_this()] { self->Finish(); });
  }

  asio::awaitable<void> Stop(Duration within) {
    stopping_ = true;
    deadline_->Set(options_.clock->Steady() + within, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->drained_.cancel();
    });
    Pump();
    boost::system::error_code ignored;
    if (!Drained())
      co_await drained_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    Finish();
    while (in_flight_ > 0) {
      drained_.expires_at(asio::steady_timer::time_point::max());
      co_await drained_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (!consumer_->durable())
      consumer_->DropAll(DropReason::kShutdown, "the queue lives in memory");
    metrics_.clear();
  }

  Stats Read() const {
    Stats s;
    {
      std::lock_guard lock(stats_mutex_);
      s = stats_;
    }
    s.backlog = consumer_->Read();
    s.backoff = std::max(s.backoff - options_.clock->Steady(), Duration(0));
    return s;
  }

 private:
  bool Drained() const { return in_flight_ == 0 && consumer_->Read().records == 0; }

  // Starts what may start now and sets the alarm for what may start later.
  void Pump() {
    if (finished_) return;
    DropAged();
    const Duration now = options_.clock->Steady();
    Duration wake = Duration::max();
    const uint32_t limit = failures_ > 0 ? 1 : std::max(options_.max_in_flight, 1U);
    while (in_flight_ < limit) {
      const auto heads = consumer_->Heads();
      const int lane = Pick(heads, now, wake);
      if (lane < 0) break;
      wake = Duration::max();
      Launch(static_cast<uint16_t>(lane), now);
    }
    if (wake != Duration::max() && in_flight_ < limit)
      alarm_->Set(wake, [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->Pump();
      });
    if (stopping_ && Drained()) drained_.cancel();
  }

  // Lanes are handed out anew by each process, so what an earlier one left goes out before what
  // came since: only so a series keeps its order over a restart. A record that the backend chokes
  // on does not hold up the rest for ever.
  bool OldLeft(const std::array<Consumer::Head, kLanes>& heads) const {
    constexpr uint32_t kChoking = 10;
    for (uint16_t i = 0; i < kLanes; ++i) {
      if (lanes_[i].choked >= kChoking) continue;
      const uint64_t seq = lanes_[i].whole ? lanes_[i].whole->seq() : Seq(i, heads);
      if (seq != 0 && seq < barrier_) return true;
    }
    return false;
  }

  // The lane to send from, or -1 with the time at which there may be one. In health the oldest
  // record goes first; while failing the lanes take turns, so that a record the backend chokes on
  // holds up its own lane only.
  int Pick(const std::array<Consumer::Head, kLanes>& heads, Duration now, Duration& wake) {
    int best = -1;
    if (barrier_ != 0 && !OldLeft(heads)) barrier_ = 0;
    for (uint16_t i = 0; i < kLanes; ++i) {
      const Lane& lane = lanes_[i];
      if (lane.busy || (heads[i].seq == 0 && !lane.split)) continue;
      if (barrier_ != 0 && Seq(i, heads) >= barrier_) continue;
      const Duration ready = std::max(lane.not_before, not_before_);
      if (ready > now) {
        wake = std::min(wake, ready);
        continue;
      }
      if (best < 0 || Before(i, best, heads)) best = i;
    }
    return best;
  }
  bool Before(int a, int b, const std::array<Consumer::Head, kLanes>& heads) const {
    if (failures_ > 0 && lanes_[a].last_attempt != lanes_[b].last_attempt)
      return lanes_[a].last_attempt < lanes_[b].last_attempt;
    return Seq(a, heads) < Seq(b, heads);
  }
  uint64_t Seq(int i, const std::array<Consumer::Head, kLanes>& heads) const {
    return lanes_[i].split ? lanes_[i].split->delivery.seq() : heads[i].seq;
  }

  bool Aged(UnixMs time_ms) const {
    return options_.max_age > Duration(0) &&
           Milliseconds(options_.clock->NowMs() - time_ms) > options_.max_age;
  }
  void DropAged() {
    if (options_.max_age <= Duration(0)) return;
    for (uint16_t i = 0; i < kLanes; ++i) {
      if (lanes_[i].busy) continue;
      if (lanes_[i].split && Aged(lanes_[i].split->delivery.info().time_ms)) {
        while (!lanes_[i].split->pieces.empty()) DropPiece(i, DropReason::kTooOld);
        FinishSplit(i);
      }
      for (auto head = consumer_->Heads()[i]; head.seq != 0 && Aged(head.time_ms);
           head = consumer_->Heads()[i])
        consumer_->DropHead(i, DropReason::kTooOld, "waited longer than the age limit");
    }
  }

  void Launch(uint16_t index, Duration now) {
    Lane& lane = lanes_[index];
    if (!lane.split) {
      lane.whole = consumer_->Take(index);
      if (!lane.whole) {
        // The disk cannot be read just now, or everything in the lane was damaged.
        lane.not_before = now + options_.max_backoff;
        return;
      }
    }
    lane.busy = true;
    lane.last_attempt = now;
    ++lane.attempts;
    ++in_flight_;
    {
      std::lock_guard lock(stats_mutex_);
      ++stats_.requests;
      if (lane.attempts > 1) ++stats_.retries;
      stats_.in_flight = in_flight_;
    }
    asio::co_spawn(executor_, Flight(shared_from_this(), index),
                   asio::bind_cancellation_slot(lane.cancel.slot(), [](std::exception_ptr) {}));
  }

  static asio::awaitable<void> Flight(std::shared_ptr<Impl> self, uint16_t index) {
    Lane& lane = self->lanes_[index];
    Outgoing out;
    out.info = lane.split ? lane.split->pieces.front().info : lane.whole->info();
    out.body = lane.split ? std::string_view(lane.split->pieces.front().body) : lane.whole->body();
    out.attempt = lane.attempts;
    if (!lane.split) out.keep = lane.whole->keep();
    SendOutcome outcome;
    try {
      outcome = co_await self->transport_(out);
    } catch (const std::exception& e) {
      outcome = SendOutcome::Retry(e.what());
    }
    // The lane's cancellation slot must not be touched by the coroutine's own end once the lane is
    // used again.
    asio::post(self->executor_, [self, index, outcome = std::move(outcome)]() mutable {
      self->OnOutcome(index, outcome);
    });
  }

  void OnOutcome(uint16_t index, SendOutcome& outcome) {
    Lane& lane = lanes_[index];
    lane.busy = false;
    --in_flight_;
    Count(outcome);
    switch (outcome.kind) {
      case SendOutcome::Kind::kRetry:
        BackOff(lane, outcome);
        break;
      case SendOutcome::Kind::kTooLarge:
        if (!Split(index)) Done(index, outcome);
        Healthy(lane);
        break;
      default:
        Done(index, outcome);
        Healthy(lane);
    }
    if (!finished_) return Pump();
    AbandonSplit(lane);
    drained_.cancel();
  }

  // The destination answered for this record: neither it nor the lane is failing.
  void Healthy(Lane& lane) {
    failures_ = 0;
    not_before_ = lane.not_before = Duration(0);
    lane.attempts = lane.choked = 0;
  }

  void BackOff(Lane& lane, const SendOutcome& outcome) {
    lane.choked = outcome.status / 100 == 5 && outcome.status != 503 ? lane.choked + 1 : 0;
    lane.whole.reset();  // back into the spool: nothing is held in memory while waiting
    const Duration now = options_.clock->Steady();
    const Duration asked =
        std::min(outcome.retry_after.value_or(Duration(0)), options_.max_retry_after);
    lane.not_before = now + std::max(Delay(lane.attempts), asked);
    if (outcome.whole_destination) {
      // Requests that were in flight together and failed together are one failure.
      if (failures_ == 0 || lane.last_attempt > failed_at_) ++failures_;
      failed_at_ = now;
      not_before_ = now + std::max(Delay(failures_), asked);
    }
    std::lock_guard lock(stats_mutex_);
    stats_.backoff = not_before_;
    stats_.consecutive_failures = failures_;
  }

  // Doubles from the least to the most, a tenth up or down, so that agents that failed together do
  // not come back together.
  Duration Delay(uint32_t failures) {
    const double factor = std::uniform_real_distribution<double>(0.9, 1.1)(random_);
    double d = static_cast<double>(options_.min_backoff.count());
    const auto most = static_cast<double>(options_.max_backoff.count());
    for (uint32_t i = 1; i < failures && d < most; ++i) d *= 2;
    return Duration(static_cast<int64_t>(std::min(d, most) * factor));
  }

  void Done(uint16_t index, const SendOutcome& outcome) {
    Lane& lane = lanes_[index];
    const bool delivered = outcome.kind == SendOutcome::Kind::kDelivered;
    const std::string detail = Detail(outcome);
    if (!lane.split) {
      Delivery d = std::move(*lane.whole);
      lane.whole.reset();
      if (delivered)
        std::move(d).Delivered(outcome.rejected, detail);
      else
        std::move(d).Dropped(outcome.reason, detail);
      return;
    }
    SplitWork& work = *lane.split;
    if (!detail.empty()) work.detail = detail;
    if (delivered) {
      const uint32_t items = work.pieces.front().info.items;
      const uint32_t rejected = std::min(outcome.rejected, items);
      work.delivered += items - rejected;
      if (rejected > 0) work.dropped.emplace_back(DropReason::kPartial, rejected);
      work.pieces.pop_front();
    } else {
      DropPiece(index, outcome.reason);
    }
    FinishSplit(index);
  }

  void DropPiece(uint16_t index, DropReason reason) {
    SplitWork& work = *lanes_[index].split;
    work.dropped.emplace_back(reason, work.pieces.front().info.items);
    work.pieces.pop_front();
  }
  void FinishSplit(uint16_t index) {
    Lane& lane = lanes_[index];
    if (!lane.split->pieces.empty()) return;
    SplitWork work = std::move(*lane.split);
    lane.split.reset();
    std::move(work.delivery).Settle(work.delivered, work.dropped, work.detail);
  }

  bool Split(uint16_t index) {
    if (!splitter_) return false;
    Lane& lane = lanes_[index];
    const RecordInfo info = lane.split ? lane.split->pieces.front().info : lane.whole->info();
    const auto body =
        lane.split ? std::string_view(lane.split->pieces.front().body) : lane.whole->body();
    auto pieces = splitter_(info, body);
    if (!pieces || pieces->size() < 2) return false;
    if (!lane.split) {
      lane.split = SplitWork{std::move(*lane.whole), {}, 0, {}, {}};
      lane.whole.reset();
    } else {
      if (lane.split->pieces.size() + pieces->size() > kMaxSplitPieces) return false;
      lane.split->pieces.pop_front();
    }
    auto& queue = lane.split->pieces;
    queue.insert(queue.begin(), std::make_move_iterator(pieces->begin()),
                 std::make_move_iterator(pieces->end()));
    std::lock_guard lock(stats_mutex_);
    ++stats_.splits;
    return true;
  }

  static std::string Detail(const SendOutcome& o) {
    if (o.status == 0 || o.kind == SendOutcome::Kind::kDelivered) return o.message;
    return fmt::format("status {}: {}", o.status, o.message);
  }

  void Count(const SendOutcome& outcome) {
    const auto kind = static_cast<size_t>(outcome.kind);
    if (counters_[kind]) counters_[kind]->Add();
    const bool good = outcome.kind == SendOutcome::Kind::kDelivered;
    std::string error = good ? std::string() : Detail(outcome);
    if (!good && !finished_) {
      uint64_t held = 0;
      if (log_limit_.Allow(held))
        log::Warn("Request failed",
                  {{"destination", options_.name}, {"error", error}, {"messages_held_back", held}});
    }
    std::lock_guard lock(stats_mutex_);
    stats_.in_flight = in_flight_;
    if (good) {
      stats_.last_success_ms = options_.clock->NowMs();
      stats_.consecutive_failures = 0;
      stats_.backoff = Duration(0);
      stats_.last_error.clear();
    } else {
      stats_.last_error = std::move(error);
      stats_.last_error_ms = options_.clock->NowMs();
    }
  }

  void Finish() {
    if (std::exchange(finished_, true)) return;
    alarm_->Cancel();
    deadline_->Cancel();
    consumer_->SetWaker({});
    for (auto& lane : lanes_) {
      if (lane.busy)
        lane.cancel.emit(asio::cancellation_type::terminal);
      else if (lane.split)
        AbandonSplit(lane);
    }
    drained_.cancel();
  }

  // Pieces that went out are settled with the record or not at all: it stays whole, and may arrive
  // twice in part.
  static void AbandonSplit(Lane& lane) { lane.split.reset(); }

  void RegisterMetrics() {
    if (options_.telemetry == nullptr) return;
    const TelemetryLabels labels{{"destination", options_.name}};
    static constexpr const char* kOutcomes[] = {"delivered", "retry", "drop", "too_large"};
    for (size_t i = 0; i < std::size(kOutcomes); ++i)
      counters_[i] = options_.telemetry->AddCounter(
          kSenderRequests, {{"destination", options_.name}, {"outcome", kOutcomes[i]}});
    const auto add = [&](const MetricRow& row, auto read) {
      metrics_.push_back(
          options_.telemetry->AddCallback(row, labels, [weak = weak_from_this(), read]() -> double {
            auto self = weak.lock();
            return self ? read(*self, self->Read()) : 0.0;
          }));
    };
    add(kSenderInFlight, [](Impl&, const Stats& s) { return static_cast<double>(s.in_flight); });
    add(kQueueBytes, [](Impl&, const Stats& s) { return static_cast<double>(s.backlog.bytes); });
    add(kQueueItems, [](Impl&, const Stats& s) { return static_cast<double>(s.backlog.items); });
    add(kQueueAge, [](Impl& self, const Stats& s) {
      const UnixMs oldest = s.backlog.oldest_ms;
      return oldest == 0 ? 0.0
                         : static_cast<double>(self.options_.clock->NowMs() - oldest) / 1000.0;
    });
  }

  asio::any_io_executor executor_;
  std::unique_ptr<Consumer> consumer_;
  Transport transport_;
  SenderOptions options_;
  Splitter splitter_;
  std::mt19937_64 random_;
  std::unique_ptr<Alarm> alarm_, deadline_;
  asio::steady_timer drained_;
  std::array<Lane, kLanes> lanes_;
  uint32_t in_flight_ = 0;
  uint32_t failures_ = 0;  ///< in a row, of the destination
  uint64_t barrier_ = consumer_->first_new_seq();
  Duration not_before_{0}, failed_at_{0};
  bool stopping_ = false, finished_ = false;
  std::atomic<bool> scheduled_{false};
  log::RateLimit log_limit_;
  std::array<std::shared_ptr<Counter>, 4> counters_;
  std::vector<std::shared_ptr<void>> metrics_;
  mutable std::mutex stats_mutex_;  // guards stats_
  Stats stats_;

  friend class Sender;
};

Sender::Sender(asio::any_io_executor executor, std::unique_ptr<Consumer> consumer,
               Transport transport, SenderOptions options, Splitter splitter)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(consumer), std::move(transport),
                                   std::move(options), std::move(splitter))) {}

Sender::~Sender() {
  if (impl_) impl_->Abort();
}

void Sender::Start() { impl_->Start(); }

asio::awaitable<void> Sender::Stop(Duration within) {
  auto impl = impl_;
  co_await asio::co_spawn(impl->executor_, impl->Stop(within), asio::use_awaitable);
}

Sender::Stats Sender::Read() const { return impl_->Read(); }

}  // namespace picket::spool
