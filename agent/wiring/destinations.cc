// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/destinations.h"

#include <algorithm>
#include <future>
#include <set>

#include "agent/version.h"
#include "core/base/log.h"

namespace picket::wiring {
namespace {

constexpr Duration kReloadDrain = std::chrono::seconds(2);

double Age(UnixMs oldest_ms, UnixMs now_ms) {
  return oldest_ms == 0 ? 0 : std::max(0.0, static_cast<double>(now_ms - oldest_ms) / 1000);
}

constexpr MetricRow kLeftoverBytes{
    MetricRow::Kind::kGauge, "picket_spool_leftover_bytes",
    "Bytes that wait in a queue whose destination is no longer configured."};

/// Several settings as one.
template <class T>
config::Digest DigestOfAll(const std::vector<T>& list) {
  config::Digest out;
  for (const T& one : list) out.Add(config::DigestOf(one));
  return out;
}

}  // namespace

Destinations::~Destinations() { Stop(Duration(0)); }

spool::SpoolOptions Destinations::SpoolFor(const std::string& kind,
                                           const agent::ExportersConfig& config) const {
  // A queue for each remote write, one for all OTLP backends.
  const size_t shares = config.remote_write.size() + (config.otlp.empty() ? 0 : 1);
  spool::SpoolOptions o;
  o.directory = needs_.data_dir.empty() ? "" : needs_.data_dir + "/spool/" + kind;
  o.max_bytes =
      Bytes(std::max<uint64_t>(needs_.disk.value / std::max<size_t>(shares, 1), 16ULL << 20));
  // Without a disk all queues together may have half of the memory budget: a backend that is away
  // then costs the oldest of its own data, and nothing of what others need.
  o.max_memory =
      Bytes(std::max<uint64_t>(needs_.budget.limit().value / 2 / std::max<size_t>(shares, 1), 1));
  o.budget = &needs_.budget;
  o.clock = &needs_.clock;
  return o;
}

void Destinations::StopRemoteWrite(RemoteWriteEntry& entry, Duration within) {
  needs_.hub.RemoveSink(entry.destination.get());
  auto done = std::make_shared<std::promise<void>>();
  auto finished = done->get_future();
  auto body = [](exporters::remote_write::RemoteWrite* d, Duration time,
                 std::shared_ptr<std::promise<void>> p) -> net::asio::awaitable<void> {
    co_await d->Stop(time);
    p->set_value();
  };
  needs_.runtime.Spawn(needs_.runtime.Next(), "remote_write stop",
                       body(entry.destination.get(), within, done));
  finished.wait_for(within + std::chrono::seconds(5));
}

Status Destinations::ApplyRemoteWrite(const agent::ExportersConfig& config,
                                      const Labels& external_labels) {
  std::vector<RemoteWriteEntry> old;
  {
    std::lock_guard lock(mutex_);
    old = std::move(remote_write_);
    remote_write_.clear();
  }
  std::vector<RemoteWriteEntry> kept(config.remote_write.size());
  for (size_t i = 0; i < kept.size(); ++i) {
    kept[i].settings = config::DigestOf(config.remote_write[i]).Add(external_labels.ToString());
    auto it = std::find_if(old.begin(), old.end(), [&](const auto& e) {
      return e.destination && e.settings == kept[i].settings;
    });
    if (it != old.end()) kept[i].destination = std::move(it->destination);
  }
  for (RemoteWriteEntry& e : old)
    if (e.destination) StopRemoteWrite(e, kReloadDrain);
  old.clear();
  Status status;
  for (size_t i = 0; i < kept.size() && status; ++i) {
    if (kept[i].destination) continue;
    exporters::remote_write::RemoteWriteContext context;
    context.runtime = &needs_.runtime;
    context.balances = &needs_.balances;
    context.telemetry = &needs_.telemetry;
    context.external_labels = external_labels;
    context.version = agent::kVersion;
    context.spool = SpoolFor("remote_write", config);
    context.clock = &needs_.clock;
    auto made =
        exporters::remote_write::RemoteWrite::Make(config.remote_write[i], std::move(context));
    if (!made) {
      status = Fail(std::move(made).error().Context("remote_write " + config.remote_write[i].url));
      break;
    }
    kept[i].destination = std::move(*made);
    needs_.hub.AddSink(kept[i].destination.get());
    kept[i].destination->Start();
  }
  std::erase_if(kept, [](const auto& e) { return !e.destination; });
  std::lock_guard lock(mutex_);
  remote_write_ = std::move(kept);
  return status;
}

void Destinations::ApplyLoki(const agent::ExportersConfig& config) {
  std::lock_guard lock(mutex_);
  std::vector<LokiEntry> old = std::move(loki_);
  loki_.clear();
  for (const auto& c : config.loki) {
    LokiEntry entry{config::DigestOf(c), exporters::loki::PushUrl(c), nullptr};
    auto it = std::find_if(old.begin(), old.end(), [&](const auto& e) {
      return e.destination && e.settings == entry.settings;
    });
    if (it != old.end()) {
      entry.destination = std::move(it->destination);
    } else {
      exporters::loki::Environment env{&needs_.clock, &needs_.balances, &needs_.telemetry};
      entry.destination = std::make_shared<exporters::loki::LokiExporter>(needs_.runtime, c, env);
    }
    loki_.push_back(std::move(entry));
  }
  // Those that left are stopped when the collector lets go of them; what they held is read again
  // from the files.
}

Status Destinations::ApplyOtlp(const agent::ExportersConfig& config) {
  const config::Digest settings = DigestOfAll(config.otlp);
  if (settings == otlp_settings_) return {};
  std::shared_ptr<exporters::otlp::OtlpExporter> old;
  {
    std::lock_guard lock(mutex_);
    old = std::move(otlp_);
  }
  if (old) old->Stop(kReloadDrain);
  old.reset();
  otlp_settings_ = {};  // tried again by the next reload if it fails now
  if (config.otlp.empty()) return {};
  auto made = exporters::otlp::OtlpExporter::Open(
      config.otlp,
      {needs_.runtime, needs_.telemetry, needs_.balances, SpoolFor("otlp", config), needs_.clock});
  if (!made) return Fail(std::move(made).error().Context("exporters.otlp"));
  (*made)->Start();
  otlp_settings_ = settings;
  std::lock_guard lock(mutex_);
  otlp_ = std::move(*made);
  return {};
}

void Destinations::ApplyAlertmanager(const agent::ExportersConfig& config,
                                     const Labels& external_labels) {
  config::Digest settings;
  settings.Add(external_labels.ToString())
      .Add(DigestOfAll(config.alertmanager))
      .Add(DigestOfAll(config.alert_relabel_configs));
  if (settings == alertmanager_settings_ && alertmanager_) return;
  std::shared_ptr<exporters::alertmanager::AlertmanagerExporter> fresh;
  if (!config.alertmanager.empty())
    fresh = std::make_shared<exporters::alertmanager::AlertmanagerExporter>(
        config.alertmanager, config.alert_relabel_configs, external_labels,
        exporters::alertmanager::AlertmanagerDeps{needs_.runtime, needs_.balances, needs_.clock});
  alertmanager_settings_ = settings;
  {
    std::lock_guard lock(mutex_);
    std::swap(alertmanager_, fresh);
  }
  if (fresh) fresh->Stop(kReloadDrain);
}

Status Destinations::ApplySignals(const agent::ExportersConfig& config) {
  config::Digest settings;
  for (const auto& [name, c] : config.signals) settings.Add(name).Add(config::DigestOf(c));
  if (settings == signals_settings_) return {};
  std::map<std::string, std::shared_ptr<SignalSink>> fresh;
  const std::string dir = needs_.data_dir.empty() ? "" : needs_.data_dir + "/signals";
  {
    // The old ones let go of their state files first.
    std::lock_guard lock(mutex_);
    signals_.clear();
  }
  for (const auto& [name, c] : config.signals) {
    auto made = exporters::signals::MakeSignal(
        name, c,
        exporters::signals::SignalsDeps{needs_.runtime, needs_.telemetry, needs_.balances, dir,
                                        needs_.clock});
    if (!made) return Fail(std::move(made).error().Context("exporters.signals." + name));
    fresh[name] = std::move(*made);
  }
  signals_settings_ = settings;
  std::lock_guard lock(mutex_);
  signals_ = std::move(fresh);
  return {};
}

Status Destinations::Apply(const agent::ExportersConfig& config, const Labels& external_labels) {
  PICKET_TRY(ApplyRemoteWrite(config, external_labels));
  ApplyLoki(config);
  PICKET_TRY(ApplyOtlp(config));
  ApplyAlertmanager(config, external_labels);
  NoteLeftovers();
  return ApplySignals(config);
}

void Destinations::NoteLeftovers() {
  if (needs_.data_dir.empty()) return;
  const std::string root = needs_.data_dir + "/spool";
  std::set<std::string> used;
  std::vector<Leftover> found;
  for (const RemoteWriteEntry& e : remote_write_) used.insert(e.destination->directory());
  if (otlp_) {
    used.insert(root + "/otlp");
    for (const auto& c : otlp_->Removed())
      if (c.bytes > 0) found.push_back({root + "/otlp/cursor-" + c.name, c.items, c.bytes, ""});
  }
  for (Leftover& l : FindLeftovers(root, used)) found.push_back(std::move(l));
  std::vector<std::shared_ptr<void>> metrics;
  for (const Leftover& l : found) {
    log::Warn(
        "A queue holds data of a destination that is no longer configured; it is kept, not sent",
        {{"queue", l.path},
         {"items", l.items},
         {"bytes", l.bytes},
         {"problem", l.problem},
         {"remedy",
          "configure the destination again under its old name to send it, or "
          "delete the queue while Picket is stopped"}});
    metrics.push_back(
        needs_.telemetry.AddCallback(kLeftoverBytes, {{"queue", l.path}},
                                     [bytes = static_cast<double>(l.bytes)] { return bytes; }));
  }
  std::lock_guard lock(mutex_);
  leftovers_ = std::move(found);
  leftover_metrics_ = std::move(metrics);
}

std::vector<Leftover> Destinations::Leftovers() const {
  std::lock_guard lock(mutex_);
  return leftovers_;
}

void Destinations::Stop(Duration within) {
  const Duration until = needs_.clock.Steady() + within;
  auto left = [&] { return std::max(Duration(0), until - needs_.clock.Steady()); };
  std::vector<RemoteWriteEntry> remote_write;
  std::vector<LokiEntry> loki;
  std::shared_ptr<exporters::otlp::OtlpExporter> otlp;
  std::shared_ptr<exporters::alertmanager::AlertmanagerExporter> alertmanager;
  {
    std::lock_guard lock(mutex_);
    remote_write = std::move(remote_write_);
    loki = std::move(loki_);
    otlp = std::move(otlp_);
    alertmanager = std::move(alertmanager_);
    signals_.clear();
    remote_write_.clear();
    loki_.clear();
  }
  if (alertmanager) alertmanager->Stop(std::min(left(), Duration(std::chrono::seconds(5))));
  for (LokiEntry& e : loki) e.destination->Stop(left());
  for (RemoteWriteEntry& e : remote_write) StopRemoteWrite(e, left());
  if (otlp) otlp->Stop(left());
}

std::vector<collectors::logs::Destination> Destinations::LogDestinations() const {
  std::lock_guard lock(mutex_);
  std::vector<collectors::logs::Destination> out;
  out.reserve(loki_.size());
  for (const LokiEntry& e : loki_) out.push_back({e.destination->name(), e.destination});
  return out;
}

std::vector<std::shared_ptr<SpanSink>> Destinations::SpanSinks() const {
  std::lock_guard lock(mutex_);
  if (!otlp_) return {};
  return {otlp_};
}

void Destinations::Alert(std::span<const AlertNotification> alerts) {
  std::shared_ptr<exporters::alertmanager::AlertmanagerExporter> to;
  {
    std::lock_guard lock(mutex_);
    to = alertmanager_;
  }
  if (to) to->OnAlerts(alerts);
}

std::map<std::string, std::shared_ptr<SignalSink>> Destinations::Signals() const {
  std::lock_guard lock(mutex_);
  return signals_;
}

std::vector<exporters::alertmanager::AlertmanagerState> Destinations::Alertmanagers() const {
  std::lock_guard lock(mutex_);
  return alertmanager_ ? alertmanager_->Read()
                       : std::vector<exporters::alertmanager::AlertmanagerState>();
}

std::vector<DestinationStatus> Destinations::Read() const {
  std::lock_guard lock(mutex_);
  const UnixMs now = needs_.clock.NowMs();
  std::vector<DestinationStatus> out;
  for (const RemoteWriteEntry& e : remote_write_) {
    const auto s = e.destination->Read();
    out.push_back({"remote_write", e.destination->name(), e.destination->url(),
                   s.sender.backlog.bytes, Age(s.sender.backlog.oldest_ms, now), s.sender.retries,
                   s.sender.last_error, s.spool.last_error});
  }
  for (const LokiEntry& e : loki_) {
    const auto s = e.destination->Status();
    out.push_back({"loki", e.destination->name(), e.url, s.held_bytes, 0,
                   static_cast<uint64_t>(s.failures), s.last_error, ""});
  }
  if (otlp_) {
    const std::string queue_error = otlp_->ReadSpool().last_error;
    for (const auto& s : otlp_->Read())
      out.push_back({"otlp", s.name, s.name, s.sender.backlog.bytes,
                     Age(s.sender.backlog.oldest_ms, now), s.sender.retries, s.sender.last_error,
                     queue_error});
  }
  if (alertmanager_)
    for (const auto& s : alertmanager_->Read())
      out.push_back({"alertmanager", s.url, s.url, 0, 0, s.retries, s.last_error, ""});
  return out;
}

}  // namespace picket::wiring
