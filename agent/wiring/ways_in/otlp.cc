// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/otlp.h"

#include <fmt/format.h>

#include <mutex>

#include "agent/wiring/ways_in/way_in.h"
#include "core/config/digest.h"

namespace picket::wiring {
namespace {

class Otlp final : public WayIn {
 public:
  explicit Otlp(const WayInNeeds& needs) : needs_(needs) {}

  Status Apply(const agent::RootConfig& config) override {
    config::Digest settings;
    if (config.collectors.otlp) settings = config::DigestOf(*config.collectors.otlp);
    if (const auto now = Collector(); now && settings == settings_) {
      now->SetSinks(needs_.destinations.SpanSinks());
      return {};
    }
    Stop(std::chrono::seconds(2));
    Set(nullptr);
    settings_ = settings;
    if (!config.collectors.otlp) return {};
    const auto made = std::make_shared<collectors::otlp::OtlpCollector>(
        *config.collectors.otlp,
        collectors::otlp::OtlpDeps{needs_.runtime, needs_.hub, needs_.telemetry, needs_.balances,
                                   &needs_.budget, needs_.clock});
    made->SetSinks(needs_.destinations.SpanSinks());
    if (auto started = made->Start(); !started)
      return Fail(std::move(started)
                      .error()
                      .Context("collectors.otlp")
                      .Remedy("Stop what holds the address, or set collectors.otlp.grpc and .http "
                              "to others; \"\" turns one off."));
    Set(made);
    return {};
  }
  void Stop(Duration within) override {
    if (const auto now = Collector())
      now->Stop(std::min<Duration>(within, std::chrono::seconds(5)));
  }

  std::vector<std::string> Findings() const override {
    std::vector<std::string> out;
    const auto now = Collector();
    if (now && now->http_port() != 0)
      out.push_back(fmt::format("taking traces over OTLP/HTTP on port {}", now->http_port()));
    if (now && now->grpc_port() != 0)
      out.push_back(fmt::format("taking traces over OTLP/gRPC on port {}", now->grpc_port()));
    return out;
  }

 private:
  std::shared_ptr<collectors::otlp::OtlpCollector> Collector() const {
    std::lock_guard lock(mutex_);
    return collector_;
  }
  void Set(std::shared_ptr<collectors::otlp::OtlpCollector> collector) {
    std::lock_guard lock(mutex_);
    collector_ = std::move(collector);
  }

  const WayInNeeds needs_;
  config::Digest settings_;
  mutable std::mutex mutex_;
  std::shared_ptr<collectors::otlp::OtlpCollector> collector_;
};

}  // namespace

std::unique_ptr<WayIn> MakeOtlp(const WayInNeeds& needs) { return std::make_unique<Otlp>(needs); }

}  // namespace picket::wiring
