// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "agent/version.h"
#include "agent/wiring/ways_in/way_in.h"
#include "collectors/scrape/manager.h"

namespace picket::wiring {
namespace {

class Scrape final : public WayIn {
 public:
  explicit Scrape(const WayInNeeds& n)
      : manager_(collectors::scrape::ScrapeManager::Dependencies{
            n.runtime, n.hub, n.clock, n.telemetry, n.balances,
            std::string("picket/") + agent::kVersion}) {}

  Status Apply(const agent::RootConfig& config) override {
    return manager_.ApplyConfig(
        std::make_shared<const collectors::scrape::Config>(config.collectors.scrape));
  }
  void Stop(Duration within) override {
    manager_.Stop(std::min<Duration>(within, std::chrono::seconds(2)));
  }

  void Offer(agent::ApiSources& sources) override {
    sources.targets = [this](const agent::Params& params) {
      const std::string_view state = params.Get("state");
      const bool all = state.empty() || state == "any";
      return manager_.TargetsJson({all || state == "active", all || state == "dropped",
                                   std::string(params.Get("scrapePool"))});
    };
    sources.target_labels = [this] {
      std::vector<Labels> out;
      for (auto& t : manager_.Targets()) out.push_back(std::move(t.labels));
      return out;
    };
  }

  void AppendStatus(agent::Json& j) const override {
    j.Key("targets").Open('[');
    for (const auto& t : manager_.Targets()) {
      j.Open('{').Field("pool", t.job).Field("url", t.url).Key("labels").Raw(t.labels.ToJson());
      j.Field("health", collectors::scrape::HealthName(t.health))
          .Field("last_error", t.last_error)
          .Field("last_scrape_ms", t.last_scrape_ms)
          .Field("duration_seconds", std::chrono::duration<double>(t.last_duration).count())
          .Field("samples", t.samples)
          .Field("series", t.series)
          .Close('}');
    }
    j.Close(']');
  }

  std::vector<std::string> Findings() const override {
    std::vector<std::string> out;
    if (const auto targets = manager_.Targets(); !targets.empty())
      out.push_back(fmt::format("scraping {} targets", targets.size()));
    for (const auto& [job, errors] : manager_.DiscoveryErrors())
      for (const std::string& e : errors)
        out.push_back(fmt::format("! discovery of job {}: {}", job, e));
    return out;
  }

 private:
  collectors::scrape::ScrapeManager manager_;
};

}  // namespace

std::unique_ptr<WayIn> MakeScrape(const WayInNeeds& needs) {
  return std::make_unique<Scrape>(needs);
}

}  // namespace picket::wiring
