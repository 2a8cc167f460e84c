// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "collectors/scrape/cache.h"
#include "collectors/scrape/config.h"
#include "core/model/metrics.h"

namespace picket::collectors::scrape {

/// What turns an exposed series into a kept one: shared by the targets of a job, replaced on
/// reload.
struct SampleRules {
  bool honor_labels = false;
  bool legacy_names = false;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;
  uint64_t label_value_length_limit = 0;
  std::vector<relabel::Config> relabel{};
};

/// The final labels of an exposed series: the target's labels joined (a clash renames the exposed
/// one to exported_*, or keeps it under honor_labels), relabelled, checked. Shape: nullopt where a
/// rule dropped it. Errors: a limit or an invalid name; the scrape fails. Source: Prometheus,
/// scrape/scrape.go.
Result<std::optional<Labels>> SampleLabels(const RawSeries& series, MetricType type,
                                           const Labels& target, const SampleRules& rules);

/// Resolves series of one target into one source of the intake.
class TargetResolver final : public SeriesResolver {
 public:
  TargetResolver(MetricIntake& intake, SourceId source, Labels target)
      : intake_(intake), source_(source), target_(std::move(target)) {}
  void SetRules(std::shared_ptr<const SampleRules> rules) { rules_ = std::move(rules); }

  Result<Answer> Resolve(const RawSeries& series, MetricType type,
                         std::shared_ptr<const MetricMetadata> metadata) override;
  void Release(SeriesId id) override { intake_.Release(source_, id); }

 private:
  MetricIntake& intake_;
  const SourceId source_;
  const Labels target_;
  std::shared_ptr<const SampleRules> rules_;
};

}  // namespace picket::collectors::scrape
