// SPDX-License-Identifier: Apache-2.0
#include "exporters/alertmanager/alertmanager.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <random>

#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/net/http_client.h"

namespace picket::exporters::alertmanager {
namespace {

constexpr size_t kBatch = 256;        // of one request, as Prometheus does it
constexpr size_t kCapacity = 10'000;  // alerts waiting for one Alertmanager
constexpr Duration kFirstBackoff = std::chrono::milliseconds(500);
constexpr Duration kLongestBackoff = std::chrono::seconds(30);

std::string Rfc3339(UnixMs ms) {
  const std::chrono::sys_time<Milliseconds> t{Milliseconds(ms)};
  const auto day = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day date(day);
  const int64_t rest = (t - day).count();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     rest / 3'600'000, rest / 60'000 % 60, rest / 1000 % 60, rest % 1000);
}

}  // namespace

std::string AlertsJson(std::span<const AlertNotification> alerts) {
  std::string out = "[";
  for (const AlertNotification& a : alerts) {
    if (out.size() > 1) out += ',';
    out +=
        fmt::format(R"({{"labels":{},"annotations":{})", a.labels.ToJson(), a.annotations.ToJson());
    if (a.starts_at_ms != 0) out += fmt::format(R"(,"startsAt":"{}")", Rfc3339(a.starts_at_ms));
    if (a.ends_at_ms != 0) out += fmt::format(R"(,"endsAt":"{}")", Rfc3339(a.ends_at_ms));
    out += fmt::format(R"(,"generatorURL":{}}})", JsonQuote(a.generator_url));
  }
  return out + "]";
}

/// One Alertmanager and what waits for it.
struct AlertmanagerExporter::Endpoint
    : std::enable_shared_from_this<AlertmanagerExporter::Endpoint> {
  Endpoint(std::string u, const AlertmanagerConfig& c, const AlertmanagerDeps& d)
      : url(std::move(u)),
        config(c),
        client(d.runtime, c.http),
        where(d.runtime.Next()),
        bell(where),
        clock(d.clock),
        balance(d.balances.Open("exporters.alertmanager", url, "alerts")) {}

  void Push(const AlertNotification& alert);
  std::vector<AlertNotification> Take();
  void PutBack(std::vector<AlertNotification> batch);
  bool Empty() const {
    std::lock_guard lock(mutex);
    return waiting.empty() && in_flight == 0;
  }
  static net::asio::awaitable<void> Run(std::shared_ptr<Endpoint> self);
  static net::asio::awaitable<bool> Send(std::shared_ptr<Endpoint> self,
                                         std::vector<AlertNotification> batch);
  void Abandon(std::string_view why);

  const std::string url;
  const AlertmanagerConfig config;
  net::HttpClient client;
  const net::asio::any_io_executor where;
  net::Bell bell;
  const Clock& clock;
  std::shared_ptr<Balance> balance;

  mutable std::mutex mutex;  // guards what follows
  std::list<AlertNotification> waiting;
  std::map<Labels, std::list<AlertNotification>::iterator> by_labels;
  size_t in_flight = 0;
  bool closing = false;
  AlertmanagerState state;
};

void AlertmanagerExporter::Endpoint::Push(const AlertNotification& alert) {
  {
    std::lock_guard lock(mutex);
    if (auto it = by_labels.find(alert.labels); it != by_labels.end()) {
      *it->second = alert;  // newer news of the same alert
    } else {
      balance->In(1);
      if (waiting.size() >= kCapacity) {
        balance->Drop(DropReason::kQueueFull, 1, waiting.front().labels.ToString());
        by_labels.erase(waiting.front().labels);
        waiting.pop_front();
      }
      waiting.push_back(alert);
      by_labels[alert.labels] = std::prev(waiting.end());
    }
  }
  bell.Ring();
}

std::vector<AlertNotification> AlertmanagerExporter::Endpoint::Take() {
  std::lock_guard lock(mutex);
  std::vector<AlertNotification> batch;
  while (!waiting.empty() && batch.size() < kBatch) {
    by_labels.erase(waiting.front().labels);
    batch.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
  in_flight = batch.size();
  return batch;
}

void AlertmanagerExporter::Endpoint::PutBack(std::vector<AlertNotification> batch) {
  std::lock_guard lock(mutex);
  in_flight = 0;
  for (auto it = batch.rbegin(); it != batch.rend(); ++it) {
    if (by_labels.contains(it->labels)) {
      // Newer news came meanwhile and was counted in; this one leaves as told by it.
      balance->Out(1);
      continue;
    }
    waiting.push_front(std::move(*it));
    by_labels[waiting.front().labels] = waiting.begin();
  }
}

net::asio::awaitable<bool> AlertmanagerExporter::Endpoint::Send(
    std::shared_ptr<Endpoint> self, std::vector<AlertNotification> batch) {
  const std::string body = AlertsJson(batch);
  net::HttpRequest request;
  request.method = "POST";
  request.url = self->url;
  request.headers.Add("Content-Type", "application/json");
  request.body.emplace_back(body);
  request.timeout = self->config.timeout;
  request.body_limit = 1 << 20;
  auto response = co_await self->client.Fetch(std::move(request));
  std::string error;
  if (!response)
    error = response.error().ToString();
  else if (!response->ok())
    error = fmt::format("HTTP {}: {}", response->status, response->body.substr(0, 300));
  const bool refused = response && response->status >= 400 && response->status < 500 &&
                       response->status != 429 && response->status != 408;
  const size_t n = batch.size();
  if (error.empty()) {
    self->balance->Out(n);
  } else if (refused) {
    // Alertmanager stores what is valid of a refused request; sending it again would not change
    // that.
    self->balance->Drop(DropReason::kRejected, n, error);
  } else {
    self->PutBack(std::move(batch));
  }
  std::lock_guard lock(self->mutex);
  self->in_flight = 0;
  if (self->state.last_error.empty() && !error.empty())
    log::Warn("Alertmanager did not take alerts; trying again until it does",
              {{"url", self->url}, {"error", error}});
  self->state.last_error = error;
  if (error.empty()) {
    self->state.sent += n;
    self->state.last_ok_ms = self->clock.NowMs();
  } else if (!refused) {
    ++self->state.retries;
  }
  co_return error.empty() || refused;
}

net::asio::awaitable<void> AlertmanagerExporter::Endpoint::Run(std::shared_ptr<Endpoint> self) {
  std::minstd_rand random(std::random_device{}());
  Duration backoff = kFirstBackoff;
  for (;;) {
    std::vector<AlertNotification> batch = self->Take();
    if (batch.empty()) {
      bool closing = false;
      {
        std::lock_guard lock(self->mutex);
        closing = self->closing;
      }
      if (closing) co_return;
      co_await self->bell.Wait(std::chrono::hours(1));
      continue;
    }
    const bool settled = co_await Send(self, std::move(batch));
    if (settled) {
      backoff = kFirstBackoff;
      continue;
    }
    // Full jitter keeps many agents from coming back at once.
    const auto wait =
        Duration(static_cast<int64_t>(std::uniform_real_distribution<double>(0.5, 1.0)(random) *
                                      static_cast<double>(backoff.count())));
    const bool slept = co_await net::Sleep(wait);  // not in the condition: see core/net/runtime.h
    if (!slept) co_return;
    backoff = std::min(2 * backoff, kLongestBackoff);
  }
}

void AlertmanagerExporter::Endpoint::Abandon(std::string_view why) {
  std::lock_guard lock(mutex);
  balance->Drop(DropReason::kShutdown, waiting.size() + in_flight, why);
  waiting.clear();
  by_labels.clear();
  in_flight = 0;
}

AlertmanagerExporter::AlertmanagerExporter(std::vector<AlertmanagerConfig> configs,
                                           std::vector<relabel::Config> alert_relabel,
                                           Labels external_labels, AlertmanagerDeps deps)
    : alert_relabel_(std::move(alert_relabel)),
      external_labels_(std::move(external_labels)),
      tasks_(std::make_unique<net::Tasks>(deps.runtime)) {
  for (const AlertmanagerConfig& c : configs)
    for (std::string& url : Endpoints(c)) {
      auto e = std::make_shared<Endpoint>(std::move(url), c, deps);
      endpoints_.push_back(e);
      tasks_->Start(e->where, "alertmanager " + e->url, Endpoint::Run(e));
    }
}

AlertmanagerExporter::~AlertmanagerExporter() { Stop(Duration(0)); }

void AlertmanagerExporter::OnAlerts(std::span<const AlertNotification> alerts) {
  for (const AlertNotification& a : alerts) {
    LabelsBuilder b(a.labels);
    for (const auto& [n, v] : external_labels_)
      if (b.Get(n).empty()) b.Set(n, v);
    if (!relabel::Process(alert_relabel_, b)) continue;
    AlertNotification common = a;
    common.labels = b.Build();
    for (const auto& e : endpoints_) {
      LabelsBuilder own(common.labels);
      if (!relabel::Process(e->config.alert_relabel_configs, own)) continue;
      AlertNotification out = common;
      out.labels = own.Build();
      if (!out.labels.empty()) e->Push(out);
    }
  }
}

void AlertmanagerExporter::Stop(Duration within) {
  if (std::exchange(stopped_, true)) return;
  for (const auto& e : endpoints_) {
    {
      std::lock_guard lock(e->mutex);
      e->closing = true;
    }
    e->bell.Ring();
  }
  tasks_->Stop(within);
  for (const auto& e : endpoints_) e->Abandon("the agent ended before Alertmanager answered");
}

std::vector<AlertmanagerState> AlertmanagerExporter::Read() const {
  std::vector<AlertmanagerState> out;
  for (const auto& e : endpoints_) {
    std::lock_guard lock(e->mutex);
    out.push_back(e->state);
    out.back().url = e->url;
    out.back().queued = e->waiting.size() + e->in_flight;
  }
  return out;
}

}  // namespace picket::exporters::alertmanager
