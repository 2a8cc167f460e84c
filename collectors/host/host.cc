// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/host.h"

namespace picket::collectors::host {
namespace {

const Family kUp{
    "up", MetricType::kGauge, "Whether the latest scrape of the target succeeded.", {}};
const Family kSuccess{"node_scrape_collector_success",
                      MetricType::kGauge,
                      "Whether a collector succeeded.",
                      {"collector"}};
const Family kDuration{"node_scrape_collector_duration_seconds",
                       MetricType::kGauge,
                       "Duration of a collector scrape.",
                       {"collector"}};

Labels Common(const HostConfig& config, const std::string& node) {
  LabelsBuilder labels(config.labels);
  if (labels.Get("job").empty()) labels.Set("job", config.job);
  if (labels.Get("instance").empty()) labels.Set("instance", node);
  return labels.Build();
}

}  // namespace

HostReader::HostReader(const HostConfig& config, const std::string& node, MetricIntake& intake,
                       const Clock& clock)
    : intake_(intake),
      clock_(clock),
      source_(intake.OpenSource("host " + node)),
      row_(intake, source_, Common(config, node)),
      parts_(MakeParts(config)) {}

HostReader::~HostReader() {
  row_.ReleaseAll();
  intake_.CloseSource(source_);
}

HostReader::Outcome HostReader::Collect(UnixMs timestamp_ms) {
  Outcome outcome;
  row_.Tell(kUp, {}, 1);
  for (const auto& part : parts_) {
    const Duration begun = clock_.Steady();
    const Status status = part->Tell(row_);
    if (!status && status.error().kind() != ErrorKind::kUnsupported)
      outcome.errors.emplace(part->name(), status.error().ToString());
    row_.Tell(kSuccess, {part->name()}, status ? 1 : 0);
    row_.Tell(kDuration, {part->name()},
              static_cast<double>((clock_.Steady() - begun).count()) / 1e9);
  }
  row_.Commit(timestamp_ms);
  outcome.series = row_.size();
  return outcome;
}

void HostReader::End(UnixMs timestamp_ms) { row_.EndAll(timestamp_ms); }

}  // namespace picket::collectors::host
