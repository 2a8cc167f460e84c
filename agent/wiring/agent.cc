// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "agent/telemetry/exposition.h"
#include "agent/version.h"
#include "core/base/log.h"
#include "dashboards/web/assets.h"

namespace picket::wiring {
namespace {

constexpr Duration kMaintainEvery = std::chrono::seconds(5);

/// The store takes a quarter of the disk unless told otherwise; queues share the rest.
Bytes StoreShare(const agent::LimitsConfig& limits) {
  return limits.store.value > 0 ? limits.store
                                : Bytes(std::max<uint64_t>(limits.disk.value / 4, 16ULL << 20));
}

store::tsdb::TsdbConfig StoreConfig(const agent::LimitsConfig& limits) {
  return {limits.retention, StoreShare(limits), limits.series};
}

}  // namespace

Agent::Agent(Options options) : options_(std::move(options)), started_ms_(clock_.NowMs()) {}

Agent::~Agent() { Stop(Duration(0)); }

Result<std::unique_ptr<Agent>> Agent::Make(agent::Loaded loaded, Options options) {
  std::unique_ptr<Agent> agent(new Agent(std::move(options)));
  PICKET_TRY(agent->Start(std::move(loaded)));
  return agent;
}

Status Agent::OpenStore(const agent::RootConfig& config) {
  auto dir = agent::DataDir(config.node);
  if (dir) {
    data_dir_ = *dir;
  } else {
    log::Warn("No data directory can be written: queues and the window live in memory only",
              {{"error", dir.error().ToString()}, {"remedy", dir.error().remedy()}});
  }
  store::tsdb::TsdbOptions options;
  options.data_dir = data_dir_.empty() ? "" : data_dir_ + "/tsdb";
  options.config = StoreConfig(config.limits);
  options.balance = balances_.Open("store", "tsdb", "samples");
  options.telemetry = &telemetry_;
  options.admit_series = [this] { return budget_->AcceptNewSeries(); };
  PICKET_ASSIGN(store_, store::tsdb::Tsdb::Open(std::move(options)));
  for (const std::string& damage : store_->recovery().damage)
    log::Warn("Part of the window was damaged and left out", {{"part", damage}});
  hub_ = std::make_unique<MetricHub>(*store_);
  return {};
}

Status Agent::Start(agent::Loaded loaded) {
  const agent::RootConfig& config = loaded.config;
  PICKET_ASSIGN(RuleRunner::Plan plan, RuleRunner::Prepare(config.rules));
  node_name_ = config.NodeName();
  budget_ = std::make_unique<Budget>(config.limits.memory);
  for (auto& c : budget_->Export(telemetry_)) callbacks_.push_back(std::move(c));
  runtime_ = std::make_unique<net::Runtime>(config.limits.concurrency);
  tasks_ = std::make_unique<net::Tasks>(*runtime_);
  PICKET_TRY(OpenStore(config));
  const Bytes queues(config.limits.disk.value -
                     std::min(config.limits.disk.value, StoreShare(config.limits).value));
  destinations_ = std::make_unique<Destinations>(DestinationNeeds{
      *runtime_, *hub_, *budget_, balances_, telemetry_, clock_, data_dir_, queues});
  rules_ = std::make_unique<RuleRunner>(
      RuleRunner::Needs{*store_, engine_, *hub_, *destinations_, clock_, telemetry_, data_dir_});
  const WayInNeeds needs{*runtime_,  *hub_,     *destinations_, *budget_, clock_,
                         telemetry_, balances_, node_name_,     data_dir_};
  for (const WayInEntry& entry : WaysIn()) ways_in_.push_back(entry.make(needs));
  // The port first: a second agent on the host is told before it touches anything.
  PICKET_TRY(StartServer(config));
  PICKET_TRY(ApplyRooms(config, std::move(plan)));
  ExportMetrics();
  tasks_->Start(runtime_->Next(), "maintenance", Maintain());
  {
    std::lock_guard lock(mutex_);
    config_ = std::move(loaded.config);
    reload_ = {true, "", clock_.NowMs(), clock_.NowMs()};
  }
  ready_ = true;
  return {};
}

Status Agent::ApplyRooms(const agent::RootConfig& config, RuleRunner::Plan plan) {
  // Ways out before ways in, so that nothing comes in without a place to go.
  PICKET_TRY(destinations_->Apply(config.exporters, config.ExternalLabels()));
  PICKET_TRY(rules_->Apply(config, std::move(plan), ExternalUrl()));
  for (const auto& way : ways_in_) PICKET_TRY(way->Apply(config));
  return {};
}

Status Agent::StartServer(const agent::RootConfig& config) {
  net::HttpServerOptions options;
  options.listen = config.node.listen;
  options.web = config.node.web;
  options.name = "api";
  server_ = std::make_unique<net::HttpServer>(*runtime_, std::move(options));
  server_->Observe(telemetry_);
  agent::ApiSources sources;
  sources.querier = store_.get();
  sources.engine = &engine_;
  sources.clock = &clock_;
  for (const auto& way : ways_in_) way->Offer(sources);
  sources.rules = [this](const agent::Params& params) { return RulesJson(params); };
  sources.alerts = [this] { return AlertsJson(); };
  sources.alertmanagers = [this] { return AlertmanagersJson(); };
  sources.config_yaml = [this] { return ConfigYaml(); };
  api_ = std::make_unique<agent::PrometheusApi>(std::move(sources));
  Mount();
  if (auto started = server_->Start(); !started)
    return Fail(std::move(started)
                    .error()
                    .Context("node.listen")
                    .Remedy("Stop what holds the address, or set node.listen to another one; port "
                            "0 takes any."));
  return {};
}

void Agent::Mount() {
  using Reply = net::asio::awaitable<net::HttpReply>;
  auto text = [](int status, std::string body) -> Reply {
    co_return net::HttpReply::Text(status, std::move(body));
  };
  auto health = [this, text](const char* path, bool readiness) {
    net::HttpRoute route;
    route.path = path;
    route.open = true;
    route.handler = [this, text, readiness](net::HttpServerRequest) {
      const bool ok = !readiness || Ready();
      return text(ok ? 200 : 503, ok ? (readiness ? "Picket is ready.\n" : "Picket is healthy.\n")
                                     : "Picket is starting.\n");
    };
    server_->Route(std::move(route));
  };
  health("/-/healthy", false);
  health("/health/live", false);
  health("/-/ready", true);
  health("/health/ready", true);
  server_->Get("/metrics", [this](net::HttpServerRequest) -> Reply { return Metrics(); });
  server_->Post("/-/reload", [this](net::HttpServerRequest) { return HandleReload(); });
  server_->Get("/api/picket/v1/status", [this](net::HttpServerRequest) { return HandleStatus(); });
  for (const char* path : {"/", "/assets/*"})
    server_->Get(path, [](net::HttpServerRequest request) { return Page(std::move(request)); });
  // Links in alerts lead to the query box of the page.
  server_->Get("/graph", [](net::HttpServerRequest request) { return Graph(std::move(request)); });
  api_->Mount(*runtime_, *server_);
}

net::asio::awaitable<net::HttpReply> Agent::Metrics() {
  net::HttpReply reply = net::HttpReply::Text(200, agent::RenderMetrics(telemetry_, balances_));
  reply.headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  co_return reply;
}

net::asio::awaitable<net::HttpReply> Agent::Page(net::HttpServerRequest request) {
  const dashboards::Asset* asset = dashboards::FindAsset(request.path);
  if (asset == nullptr) co_return net::HttpReply::Text(404, "There is no such page.\n");
  if (!net::ListHas(request.headers.Get("Accept-Encoding"), "gzip"))
    co_return net::HttpReply::Text(
        406, "The page is kept compressed: ask with Accept-Encoding: gzip (curl --compressed).\n");
  net::HttpReply reply;
  reply.body = std::string(asset->gzip);
  reply.headers.Set("Content-Type", std::string(asset->content_type));
  reply.headers.Set("Content-Encoding", "gzip");
  reply.headers.Set("Cache-Control", "no-cache");
  reply.headers.Set("Content-Security-Policy",
                    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:");
  co_return reply;
}

net::asio::awaitable<net::HttpReply> Agent::Graph(net::HttpServerRequest request) {
  std::string expr;
  for (const auto& [k, v] : net::ParseQuery(request.query))
    if (k == "g0.expr") expr = v;
  std::string location = "/#q=";
  for (const char c : expr) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    location += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  net::HttpReply reply = net::HttpReply::Text(302, "The query box is on the page.\n");
  reply.headers.Set("Location", location);
  co_return reply;
}

net::asio::awaitable<net::HttpReply> Agent::HandleReload() {
  std::function<ReloadState()> work = [this] { return Reload(); };
  const ReloadState state = co_await runtime_->Blocking(work);
  if (state.ok) co_return net::HttpReply::Text(200, "The configuration was read again.\n");
  co_return net::HttpReply::Text(
      400, "The configuration was refused; the old one runs on.\n" + state.error + "\n");
}

net::asio::awaitable<net::HttpReply> Agent::HandleStatus() {
  std::function<std::string()> work = [this] { return StatusJson(); };
  std::string json = co_await runtime_->Blocking(work);
  co_return net::HttpReply::Json(200, std::move(json));
}

ReloadState Agent::Reload() {
  std::lock_guard one(reload_mutex_);
  ReloadState state = LastReload();
  state.at_ms = clock_.NowMs();
  // For the log one line, for people all findings with their excerpts.
  auto refuse = [&](const Error& error, std::string findings = {}) {
    state.ok = false;
    state.error = findings.empty() ? error.ToString() : std::move(findings);
    log::Error("The configuration was refused; the old one runs on",
               {{"file", options_.config_path}, {"error", error.ToString()}});
    std::lock_guard lock(mutex_);
    return reload_ = state;
  };
  agent::Loaded loaded = agent::LoadConfig(options_.config_path, {options_.lenient, {}});
  if (!loaded.ok()) return refuse(loaded.diagnostics.ToError(), loaded.diagnostics.Render());
  if (!loaded.diagnostics.all().empty())
    log::Warn("Configuration", {{"findings", loaded.diagnostics.Render()}});
  auto plan = RuleRunner::Prepare(loaded.config.rules);
  if (!plan) return refuse(plan.error());
  {
    std::lock_guard lock(mutex_);
    if (loaded.config.node.listen != config_.node.listen)
      log::Warn("node.listen changed: it is taken at the next start",
                {{"now", config_.node.listen}, {"new", loaded.config.node.listen}});
  }
  if (auto web = server_->SetWeb(loaded.config.node.web); !web) return refuse(web.error());
  budget_->SetLimit(loaded.config.limits.memory);
  store_->Reconfigure(StoreConfig(loaded.config.limits));
  if (auto applied = ApplyRooms(loaded.config, std::move(*plan)); !applied)
    return refuse(applied.error());
  log::Info("The configuration was read again", {{"file", options_.config_path}});
  state.ok = true;
  state.error.clear();
  state.last_ok_ms = state.at_ms;
  std::lock_guard lock(mutex_);
  config_ = std::move(loaded.config);
  return reload_ = state;
}

net::asio::awaitable<void> Agent::Maintain() {
  for (;;) {
    const bool slept =
        co_await net::Sleep(kMaintainEvery);  // not in the condition: see core/net/runtime.h
    if (!slept) co_return;
    std::function<void()> work = [this] { store_->Maintain(); };
    co_await runtime_->RunBlocking(work);
  }
}

void Agent::ExportMetrics() {
  auto gauge = [&](const char* name, const char* help, std::function<double()> read) {
    callbacks_.push_back(
        telemetry_.AddCallback({MetricRow::Kind::kGauge, name, help}, {}, std::move(read)));
  };
  gauge("picket_config_last_reload_successful",
        "Whether the last load of the configuration was accepted.",
        [this] { return LastReload().ok ? 1.0 : 0.0; });
  gauge("picket_config_last_reload_success_timestamp_seconds",
        "When a configuration was accepted last.",
        [this] { return static_cast<double>(LastReload().last_ok_ms) / 1000; });
}

ReloadState Agent::LastReload() const {
  std::lock_guard lock(mutex_);
  return reload_;
}

std::string Agent::ConfigYaml() const {
  std::lock_guard lock(mutex_);
  return config::ToYaml(config_);
}

Milliseconds Agent::shutdown_timeout() const {
  std::lock_guard lock(mutex_);
  return config_.node.shutdown_timeout;
}

std::string Agent::ExternalUrl() const { return "http://" + server_->address(); }

void Agent::Stop(Duration within) {
  if (std::exchange(stopped_, true)) return;
  ready_ = false;
  const Duration until = clock_.Steady() + within;
  auto left = [&] { return std::max(Duration(0), until - clock_.Steady()); };
  const auto last_first = std::views::reverse(ways_in_);
  for (const auto& way : last_first) way->Stop(left());
  if (rules_) rules_->Stop();
  for (const auto& way : last_first) way->Drain(left());
  if (destinations_) destinations_->Stop(left());
  for (const Balance::Snapshot& s : balances_.Read())
    if (s.queued() > 0 && !data_dir_.empty())
      log::Info("Not sent in time: it waits on disk for the next start",
                {{"component", s.component},
                 {"instance", s.instance},
                 {"queued", s.queued()},
                 {"unit", s.unit}});
  if (server_) server_->Stop(std::min<Duration>(left(), std::chrono::seconds(1)));
  if (tasks_) tasks_->Stop();
  callbacks_.clear();
  api_.reset();
  server_.reset();
  rules_.reset();
  while (!ways_in_.empty()) ways_in_.pop_back();
  destinations_.reset();
  tasks_.reset();
  if (runtime_) runtime_->Stop();
  hub_.reset();
  store_.reset();
  runtime_.reset();
}

}  // namespace picket::wiring
