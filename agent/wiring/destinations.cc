// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/destinations.h"

#include <algorithm>
#include <future>

#include "agent/version.h"
#include "core/base/log.h"

namespace picket::wiring {
namespace {

constexpr Duration kReloadDrain = std::chrono::seconds(2);

double Age(UnixMs oldest_ms, UnixMs now_ms) {
  return oldest_ms == 0 ? 0 : std::max(0.0, static_cast<double>(now_ms - oldest_ms) / 1000);
}

/// The settings with secrets in the clear, so that a changed password is a change. Never printed.
template <class T>
std::string Fingerprint(const T& settings) {
  return config::ToYaml(settings, config::PrintWhat::kAll);
}

}  // namespace

Destinations::~Destinations() { Stop(Duration(0)); }

spool::SpoolOptions Destinations::SpoolFor(const std::string& kind, size_t shares) const {
  spool::SpoolOptions o;
  o.directory = needs_.data_dir.empty() ? "" : needs_.data_dir + "/spool/" + kind;
  o.max_bytes =
      Bytes(std::max<uint64_t>(needs_.disk.value / std::max<size_t>(shares, 1), 16ULL << 20));
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
    kept[i].settings = Fingerprint(config.remote_write[i]) + external_labels.ToString();
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
    context.spool = SpoolFor("remote_write", config.remote_write.size() + 1);
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
    LokiEntry entry{Fingerprint(c), exporters::loki::PushUrl(c), nullptr};
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
  std::string settings;
  for (const auto& c : config.otlp) settings += Fingerprint(c) + "\n";
  if (settings == otlp_settings_) return {};
  std::shared_ptr<exporters::otlp::OtlpExporter> old;
  {
    std::lock_guard lock(mutex_);
    old = std::move(otlp_);
  }
  if (old) old->Stop(kReloadDrain);
  old.reset();
  otlp_settings_ = settings;
  if (config.otlp.empty()) return {};
  auto made = exporters::otlp::OtlpExporter::Open(
      config.otlp,
      {needs_.runtime, needs_.telemetry, needs_.balances, SpoolFor("otlp", 2), needs_.clock});
  if (!made) return Fail(std::move(made).error().Context("exporters.otlp"));
  (*made)->Start();
  std::lock_guard lock(mutex_);
  otlp_ = std::move(*made);
  return {};
}

void Destinations::ApplyAlertmanager(const agent::ExportersConfig& config,
                                     const Labels& external_labels) {
  std::string settings = external_labels.ToString();
  for (const auto& c : config.alertmanager) settings += Fingerprint(c) + "\n";
  for (const auto& c : config.alert_relabel_configs) settings += Fingerprint(c) + "\n";
  if (settings == alertmanager_settings_ && alertmanager_) return;
  std::shared_ptr<exporters::alertmanager::AlertmanagerExporter> fresh;
  if (!config.alertmanager.empty())
    fresh = std::make_shared<exporters::alertmanager::AlertmanagerExporter>(
        config.alertmanager, config.alert_relabel_configs, external_labels,
        exporters::alertmanager::AlertmanagerDeps{needs_.runtime, needs_.balances, needs_.clock});
  alertmanager_settings_ = std::move(settings);
  {
    std::lock_guard lock(mutex_);
    std::swap(alertmanager_, fresh);
  }
  if (fresh) fresh->Stop(kReloadDrain);
}

Status Destinations::ApplySignals(const agent::ExportersConfig& config) {
  std::string settings;
  for (const auto& [name, c] : config.signals) settings += name + Fingerprint(c) + "\n";
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
  signals_settings_ = std::move(settings);
  std::lock_guard lock(mutex_);
  signals_ = std::move(fresh);
  return {};
}

Status Destinations::Apply(const agent::ExportersConfig& config, const Labels& external_labels) {
  PICKET_TRY(ApplyRemoteWrite(config, external_labels));
  ApplyLoki(config);
  PICKET_TRY(ApplyOtlp(config));
  ApplyAlertmanager(config, external_labels);
  return ApplySignals(config);
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
                   s.sender.last_error});
  }
  for (const LokiEntry& e : loki_) {
    const auto s = e.destination->Status();
    out.push_back({"loki", e.destination->name(), e.url, s.held_bytes, 0,
                   static_cast<uint64_t>(s.failures), s.last_error});
  }
  if (otlp_)
    for (const auto& s : otlp_->Read())
      out.push_back({"otlp", s.name, s.name, s.sender.backlog.bytes,
                     Age(s.sender.backlog.oldest_ms, now), s.sender.retries, s.sender.last_error});
  if (alertmanager_)
    for (const auto& s : alertmanager_->Read())
      out.push_back({"alertmanager", s.url, s.url, 0, 0, s.retries, s.last_error});
  return out;
}

}  // namespace picket::wiring
