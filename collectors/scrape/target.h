// SPDX-License-Identifier: Apache-2.0
// What a discovered label set means: which labels, which URL, or why not.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "collectors/discovery/discoverer.h"
#include "collectors/scrape/config.h"
#include "core/base/result.h"
#include "core/model/labels.h"

namespace picket::collectors::scrape {

/// One place to scrape.
struct Target {
  Labels discovered;  ///< before relabelling, with the job's defaults filled in
  Labels labels;      ///< of every sample: without those that begin with __
  std::string url;
  std::string address;  ///< host:port, as in the URL
  Milliseconds interval{0};
  Milliseconds timeout{0};
  /// The same for the same labels and URL, in every run: identity across reloads, and the phase.
  uint64_t hash = 0;
};

/// All labels of a target before relabelling: group and target, and the job's settings as
/// __scheme__ and so on.
Labels DiscoveredLabels(const Labels& target, const Labels& group, const ScrapeConfig& job,
                        const JobSettings& settings);

/// Relabels and completes. Shape: nullopt where a rule dropped it.
/// Errors: kInvalidArgument (no address, an address that is a URL, a bad interval).
/// Source: Prometheus, scrape/target.go.
Result<std::optional<Target>> MakeTarget(Labels discovered, const ScrapeConfig& job);

/// Whether an address is this machine's: loopback, one of its interfaces or its name.
class LocalAddresses {
 public:
  static LocalAddresses Read();
  bool Contains(std::string_view address) const;

 private:
  std::vector<std::string> hosts_;
};

}  // namespace picket::collectors::scrape
