// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/units.h"

namespace picket::agent {

/// The parameters of a request: of its query and, when posted as a form, of its body.
class Params {
 public:
  Params(std::string_view query, std::string_view form);
  /// The first value, or empty.
  std::string_view Get(std::string_view name) const;
  std::vector<std::string> All(std::string_view name) const;
  bool Has(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

/// RFC 3339 or Unix seconds with a fraction. Source: Prometheus HTTP API, <rfc3339 |
/// unix_timestamp>.
Result<UnixMs> ParseTime(std::string_view text);
/// A Prometheus duration or a number of seconds; must be positive.
Result<Milliseconds> ParseStep(std::string_view text);
/// 2026-11-21T12:00:00.5Z with as many digits of a second as are needed.
std::string FormatTime(UnixMs ms);

}  // namespace picket::agent
