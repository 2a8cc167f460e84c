// SPDX-License-Identifier: Apache-2.0
#include "exporters/loki/loki.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <random>

#include "core/base/log.h"
#include "core/net/http_client.h"
#include "exporters/loki/answer.h"
#include "exporters/loki/metrics.h"
#include "exporters/loki/queue.h"

namespace picket::exporters::loki {
namespace {

namespace asio = boost::asio;

constexpr Duration kForever = std::chrono::hours(1);
constexpr Milliseconds kLongestRetryAfter{600'000};
constexpr size_t kShownBytes = 300;  // of an error body

}  // namespace

struct LokiExporter::Impl : std::enable_shared_from_this<LokiExporter::Impl> {
  Impl(net::Runtime& r, LokiConfig c, Environment e)
      : config(std::move(c)),
        env(e),
        name(DestinationName(config)),
        url(PushUrl(config)),
        where(r.Next()),
        client(r, config.http, {.idle_per_origin = config.max_in_flight}),
        tasks(r),
        bell(where),
        queue(config.labels),
        random(std::random_device{}()) {
    balance = env.balances != nullptr ? env.balances->Open("loki", name, "lines")
                                      : std::make_shared<Balance>("loki", name, "lines");
    static Telemetry unread;  // rows that nobody collects
    telemetry = env.telemetry != nullptr ? env.telemetry : &unread;
    failed = telemetry->AddCounter(kFailures, {{"destination", name}});
    retries = telemetry->AddCounter(kRetries, {{"destination", name}});
    sent_bytes = telemetry->AddCounter(kSentBytes, {{"destination", name}});
    held = telemetry->AddGauge(kHeldBytes, {{"destination", name}});
  }

  static asio::awaitable<void> Schedule(std::shared_ptr<Impl> self);
  static asio::awaitable<void> Send(std::shared_ptr<Impl> self, Request request);
  Duration Start();
  std::optional<Request> Next(Duration now, Duration& wait);
  Request Encode(Selection selection);
  void Finish(Request request, const Result<net::HttpResponse>& result);
  void Answered(Request request, const net::HttpResponse& response);
  void Done(Request request);
  void Split(Request request);
  void DelayStream(Request request, const std::string& labels);
  void Later(Request request, Duration delay);
  void CloseGate(Request request, Duration at_least);
  void Park(Request request);
  void GiveUp(Request& request);
  Duration Backoff(int attempt);
  bool Idle() const { return queue.empty() && parked.empty() && in_flight == 0; }
  void Failed(std::string error);

  const LokiConfig config;
  const Environment env;
  const std::string name, url;
  const asio::any_io_executor where;
  net::HttpClient client;
  net::Tasks tasks;
  net::Bell bell;
  PushEncoder encoder;  // on `where` only
  std::shared_ptr<Balance> balance;
  Telemetry* telemetry;
  std::shared_ptr<Counter> failed, retries, sent_bytes;
  std::shared_ptr<Gauge> held;
  std::atomic<uint64_t> held_bytes{0};
  std::atomic<bool> stopped{false};

  mutable std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  StreamQueue queue;
  std::map<uint64_t, Request> parked;  // by age
  uint64_t request_bytes = 0;          // of requests parked and in flight
  std::map<int, std::shared_ptr<Counter>> by_status;
  int in_flight = 0;
  int failures = 0;  // in a row
  Duration gate{};   // nothing is sent before
  bool draining = false;
  uint64_t next_number = 1;
  std::string last_error;
  std::minstd_rand random;
};

Duration LokiExporter::Impl::Backoff(int attempt) {
  const double longest = std::chrono::duration<double>(config.max_backoff).count();
  double wait = std::chrono::duration<double>(config.min_backoff).count();
  for (int i = 1; i < attempt && wait < longest; ++i) wait *= 2;
  wait = std::min(wait, longest) * std::uniform_real_distribution(0.5, 1.0)(random);
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(wait));
}

asio::awaitable<void> LokiExporter::Impl::Schedule(std::shared_ptr<Impl> self) {
  while (!self->stopped) {
    const Duration wait = self->Start();
    co_await self->bell.Wait(wait);
  }
}

// Starts all that may be under way now; returns how long there is nothing more to start.
Duration LokiExporter::Impl::Start() {
  for (;;) {
    Duration wait = kForever;
    auto request = Next(env.clock->Steady(), wait);
    if (!request) return wait;
    tasks.Start(where, "pushing to " + name, Send(shared_from_this(), *std::move(request)));
  }
}

std::optional<Request> LokiExporter::Impl::Next(Duration now, Duration& wait) {
  std::unique_lock lock(mutex);
  if (stopped) return std::nullopt;
  // While it fails one request at a time asks whether it is back.
  if (in_flight >= (failures > 0 ? 1 : static_cast<int>(config.max_in_flight))) return std::nullopt;
  if (gate > now) {
    wait = gate - now;
    return std::nullopt;
  }
  for (auto it = parked.begin(); it != parked.end(); ++it) {
    if (it->second.not_before > now) {
      wait = std::min(wait, it->second.not_before - now);
      continue;
    }
    Request request = std::move(it->second);
    parked.erase(it);
    ++in_flight;
    return request;
  }
  const auto oldest = queue.OldestReady();
  if (!oldest) return std::nullopt;
  const Duration due = *oldest + config.batch_wait;
  if (queue.ReadyBytes() < config.batch_size.value && now < due && !draining) {
    wait = std::min(wait, due - now);
    return std::nullopt;
  }
  Selection selection = queue.Take(config.batch_size.value);
  const uint64_t number = next_number++;
  ++in_flight;
  const uint64_t raw = selection.held_bytes;
  request_bytes += raw;
  lock.unlock();
  Request request = Encode(std::move(selection));
  lock.lock();
  request.number = number;
  request_bytes = request_bytes - raw + request.packed.size();
  held_bytes = queue.bytes() + request_bytes;
  return request;
}

Request LokiExporter::Impl::Encode(Selection selection) {
  Request request;
  encoder.Clear();
  for (const Selection::Stream& s : selection.streams) {
    encoder.AddStream(s.labels_text, s.slices);
    request.streams.push_back(s.id);
  }
  request.raw_bytes = encoder.raw().size();
  request.packed = encoder.Compress();
  request.lines = selection.lines;
  request.deliveries = std::move(selection.deliveries);
  return request;
}

asio::awaitable<void> LokiExporter::Impl::Send(std::shared_ptr<Impl> self, Request request) {
  net::HttpRequest http;
  http.method = "POST";
  http.url = self->url;
  http.headers.Add("Content-Type", "application/x-protobuf");
  if (!self->config.tenant.empty()) http.headers.Add("X-Scope-OrgID", self->config.tenant);
  http.body.push_back(request.packed);
  http.timeout = self->config.timeout;
  http.body_limit = 1 << 20;
  if (request.attempts++ > 0) self->retries->Add();
  const Result<net::HttpResponse> result = co_await self->client.Fetch(std::move(http));
  self->Finish(std::move(request), result);
  self->bell.Ring();
}

void LokiExporter::Impl::Finish(Request request, const Result<net::HttpResponse>& result) {
  std::lock_guard lock(mutex);
  --in_flight;
  request_bytes -= request.packed.size();
  if (stopped) {
    GiveUp(request);
  } else if (!result) {
    failed->Add();
    Failed(result.error().ToString());
    CloseGate(std::move(request), Duration::zero());
  } else {
    auto& counter = by_status[result->status];
    if (!counter)
      counter = telemetry->AddCounter(
          kRequests, {{"destination", name}, {"status", std::to_string(result->status)}});
    counter->Add();
    Answered(std::move(request), *result);
  }
  held_bytes = queue.bytes() + request_bytes;
  held->Set(static_cast<double>(held_bytes.load()));
  changed.notify_all();
}

void LokiExporter::Impl::Failed(std::string error) {
  last_error = std::move(error);
  static log::RateLimit limit;
  uint64_t suppressed = 0;
  if (limit.Allow(suppressed))
    log::Warn("Loki did not take lines; they are kept and sent again",
              {{"destination", name}, {"error", last_error}, {"messages_held_back", suppressed}});
}

void LokiExporter::Impl::Answered(Request request, const net::HttpResponse& response) {
  const Answer answer = ReadAnswer(response.status, response.body, request.lines);
  const Duration asked = std::clamp(net::RetryAfter(response.headers, env.clock->NowMs()),
                                    Milliseconds(0), kLongestRetryAfter);
  auto said = [&] {
    return fmt::format("{}: {}", response.status, response.body.substr(0, kShownBytes));
  };
  switch (answer.verdict) {
    case Verdict::kDelivered:
      sent_bytes->Add(request.packed.size());
      balance->Out(request.lines);
      last_error.clear();
      failures = 0;
      return Done(std::move(request));
    case Verdict::kPartial:
      last_error = said();
      balance->Drop(answer.reason, answer.lost, last_error);
      balance->Out(request.lines - answer.lost);
      failures = 0;
      return Done(std::move(request));
    case Verdict::kSplit:
      failures = 0;
      return Split(std::move(request));
    case Verdict::kSlowStream:
      Failed(said());
      failures = 0;
      request.not_before = asked;  // taken up below
      return DelayStream(std::move(request), answer.stream);
    case Verdict::kSlowTenant:
    case Verdict::kRetry:
      Failed(said());
      return CloseGate(std::move(request), asked);
  }
}

// Its lines are settled: its streams are free, or go on with the next part.
void LokiExporter::Impl::Done(Request request) {
  if (request.then.empty()) {
    for (const auto& d : request.deliveries) d->Close();
    for (const uint64_t stream : request.streams) queue.Release(stream);
    return;
  }
  Request next = std::move(request.then.front());
  request.then.pop_front();
  next.then = std::move(request.then);
  next.streams = std::move(request.streams);
  next.deliveries = std::move(request.deliveries);
  next.number = request.number;
  // The bytes of all parts were counted while they waited behind the first.
  request_bytes -= next.packed.size();
  Park(std::move(next));
}

void LokiExporter::Impl::Park(Request request) {
  request_bytes += request.packed.size();
  parked.emplace(request.number, std::move(request));
}

void LokiExporter::Impl::Split(Request request) {
  const std::vector<Part> parts = Halve(SnappyDecompress(request.packed));
  if (parts.size() < 2) {
    balance->Drop(DropReason::kTooLarge, request.lines, "one line alone is above Loki's limit");
    return Done(std::move(request));
  }
  auto part = [&](const Part& p) {
    Request r;
    r.packed = SnappyCompress(p.raw);
    r.raw_bytes = p.raw.size();
    r.lines = p.lines;
    return r;
  };
  Request second = part(parts[1]);
  request_bytes += second.packed.size();
  Request first = part(parts[0]);
  first.then = std::move(request.then);
  first.then.push_front(std::move(second));
  first.streams = std::move(request.streams);
  first.deliveries = std::move(request.deliveries);
  first.number = request.number;
  Park(std::move(first));
}

void LokiExporter::Impl::DelayStream(Request request, const std::string& labels) {
  const Duration asked = std::exchange(request.not_before, {});
  const Duration delay = std::max(asked, Backoff(request.attempts));
  uint64_t slow = 0;
  const std::string* text = nullptr;
  for (const uint64_t id : request.streams) {
    text = queue.LabelsText(id);
    if (text == nullptr || labels.empty() || !StreamQueue::SameStream(*text, labels)) continue;
    slow = id;
    break;
  }
  if (slow == 0 || request.streams.size() < 2 || !request.then.empty())
    return Later(std::move(request), delay);
  const std::string raw = SnappyDecompress(request.packed);
  std::string slow_raw, rest_raw;
  Request hot, rest;
  for (const StreamView& s : ReadStreams(raw)) {
    const bool is_slow = s.labels_text == *text;
    (is_slow ? slow_raw : rest_raw) += s.field;
    (is_slow ? hot : rest).lines += s.entries;
  }
  hot.packed = SnappyCompress(slow_raw);
  rest.packed = SnappyCompress(rest_raw);
  hot.raw_bytes = slow_raw.size();
  rest.raw_bytes = rest_raw.size();
  hot.streams = {slow};
  for (const uint64_t id : request.streams)
    if (id != slow) rest.streams.push_back(id);
  for (const auto& d : request.deliveries) d->Open();
  hot.deliveries = request.deliveries;
  rest.deliveries = std::move(request.deliveries);
  hot.attempts = request.attempts;
  rest.number = request.number;
  hot.number = next_number++;
  Park(std::move(rest));
  Later(std::move(hot), delay);
}

void LokiExporter::Impl::Later(Request request, Duration delay) {
  request.not_before = env.clock->Steady() + delay;
  Park(std::move(request));
}

// Nobody gets through: all wait, and one at a time asks again.
void LokiExporter::Impl::CloseGate(Request request, Duration at_least) {
  ++failures;
  gate = std::max(gate, env.clock->Steady() + std::max(at_least, Backoff(failures)));
  Park(std::move(request));
}

void LokiExporter::Impl::GiveUp(Request& request) {
  uint64_t lines = request.lines;
  for (const Request& r : request.then) lines += r.lines;
  balance->Return(lines);
}

LokiExporter::LokiExporter(net::Runtime& runtime, LokiConfig config, Environment environment)
    : impl_(std::make_shared<Impl>(runtime, std::move(config), environment)) {
  impl_->tasks.Start(impl_->where, "sending to " + impl_->name, Impl::Schedule(impl_));
}

LokiExporter::~LokiExporter() { Stop(Duration::zero()); }

void LokiExporter::OnLogs(const LogBatch& batch) {
  Impl& i = *impl_;
  if (batch.records.empty()) return;
  bool ring = false;
  {
    std::lock_guard lock(i.mutex);
    if (i.stopped) {
      // Not taken: whoever reads the receipt keeps its place.
      const Receipt::Hold refused(batch.receipt);
      return;
    }
    i.balance->In(batch.records.size());
    const uint64_t before = i.queue.ReadyBytes();
    i.queue.Add(batch, i.env.clock->Steady());
    i.held_bytes = i.queue.bytes() + i.request_bytes;
    const uint64_t now = i.queue.ReadyBytes();
    // A timer runs from the first line on; after that only a full batch is news.
    ring = before == 0 || (before < i.config.batch_size.value && now >= i.config.batch_size.value);
  }
  if (ring) i.bell.Ring();
}

uint64_t LokiExporter::HeldBytes() const {
  return impl_->stopped ? UINT64_MAX : impl_->held_bytes.load();
}

void LokiExporter::Stop(Duration drain) {
  Impl& i = *impl_;
  {
    std::unique_lock lock(i.mutex);
    if (i.stopped) return;
    i.draining = true;
    i.bell.Ring();
    if (drain > Duration::zero()) i.changed.wait_for(lock, drain, [&] { return i.Idle(); });
    i.stopped = true;
  }
  i.bell.Ring();
  i.tasks.Stop();
  std::lock_guard lock(i.mutex);
  for (auto& [number, request] : i.parked) i.GiveUp(request);
  i.parked.clear();
  i.balance->Return(i.queue.Clear());
  i.request_bytes = 0;
}

LokiStatus LokiExporter::Status() const {
  const Impl& i = *impl_;
  std::lock_guard lock(i.mutex);
  LokiStatus s;
  s.name = i.name;
  s.queued_lines = i.queue.lines();
  s.held_bytes = i.held_bytes;
  s.in_flight = i.in_flight;
  s.failures = i.failures;
  s.retry_in_seconds =
      std::max(0.0, std::chrono::duration<double>(i.gate - i.env.clock->Steady()).count());
  s.last_error = i.last_error;
  return s;
}

const std::string& LokiExporter::name() const { return impl_->name; }

}  // namespace picket::exporters::loki
