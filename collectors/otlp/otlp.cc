// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/otlp.h"

#include "collectors/otlp/grpc_door.h"
#include "collectors/otlp/http_door.h"
#include "collectors/otlp/receiver.h"
#include "collectors/otlp/span_metrics.h"
#include "core/base/log.h"
#include "core/net/runtime.h"

namespace picket::collectors::otlp {
namespace {

net::asio::awaitable<void> FlushEvery(std::shared_ptr<SpanMetrics> metrics, Duration interval) {
  for (;;) {
    const bool on = co_await net::Sleep(interval);
    if (!on) co_return;
    metrics->Flush();
  }
}

}  // namespace

struct OtlpCollector::Impl {
  Impl(OtlpConfig c, OtlpDeps d) : config(std::move(c)), deps(d), tasks(d.runtime) {}
  OtlpConfig config;
  OtlpDeps deps;
  std::shared_ptr<TraceReceiver> receiver;
  std::shared_ptr<SpanMetrics> span_metrics;
  std::unique_ptr<GrpcDoor> grpc;
  std::unique_ptr<HttpDoor> http;
  net::Tasks tasks;
  bool started = false;
};

OtlpCollector::OtlpCollector(OtlpConfig config, OtlpDeps deps)
    : impl_(std::make_unique<Impl>(std::move(config), deps)) {
  const OtlpConfig& c = impl_->config;
  TraceReceiver::Options options;
  options.max_request_bytes = c.max_request_size.value;
  options.retry_after = c.retry_after;
  options.budget = deps.budget;
  impl_->receiver = std::make_shared<TraceReceiver>(
      options, deps.balances.Open("collectors.otlp", "traces", "spans"));
  if (c.span_metrics.enabled)
    impl_->span_metrics =
        std::make_shared<SpanMetrics>(c.span_metrics, deps.intake, deps.clock, deps.telemetry);
  if (!c.grpc.empty()) impl_->grpc = std::make_unique<GrpcDoor>(c, impl_->receiver, deps.telemetry);
  if (!c.http.empty())
    impl_->http = std::make_unique<HttpDoor>(deps.runtime, c, impl_->receiver, deps.telemetry);
  SetSinks({});
}

OtlpCollector::~OtlpCollector() { Stop(Duration(0)); }

void OtlpCollector::SetSinks(std::vector<std::shared_ptr<SpanSink>> sinks) {
  auto all = std::make_shared<SpanSinks>();
  all->durable = std::move(sinks);
  if (impl_->span_metrics) all->observers.push_back(impl_->span_metrics);
  impl_->receiver->SetSinks(std::move(all));
}

Status OtlpCollector::Start() {
  if (impl_->grpc) PICKET_TRY(impl_->grpc->Start());
  if (impl_->http) PICKET_TRY(impl_->http->Start());
  if (impl_->span_metrics) {
    impl_->tasks.Start(impl_->deps.runtime.Next(), "span metrics",
                       FlushEvery(impl_->span_metrics, impl_->config.span_metrics.interval));
  }
  impl_->started = true;
  log::Info("Receiving traces", {{"grpc_port", grpc_port()}, {"http_port", http_port()}});
  return {};
}

void OtlpCollector::Stop(Duration drain) {
  impl_->receiver->StartDraining();
  if (impl_->http) impl_->http->Stop(drain);
  if (impl_->grpc) impl_->grpc->Stop(drain);
  impl_->tasks.Stop();
  if (impl_->started && impl_->span_metrics) impl_->span_metrics->Flush();
  impl_->started = false;
}

uint16_t OtlpCollector::grpc_port() const { return impl_->grpc ? impl_->grpc->port() : 0; }
uint16_t OtlpCollector::http_port() const { return impl_->http ? impl_->http->port() : 0; }

}  // namespace picket::collectors::otlp
