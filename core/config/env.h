// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/config/object.h"

namespace picket::config::internal {

/// Replaces ${NAME} and ${NAME:-default}; "$${" is a literal "${" and every other "$" stays as it
/// is, so that passwords and patterns of a prometheus.yml keep their meaning. Names without a value
/// and without a default go to `missing`.
std::string ExpandEnv(std::string_view text, const Env& env, std::vector<std::string>& missing);
/// The opposite, for printing.
std::string EscapeEnv(std::string_view text);

/// Prometheus' rule for external labels: $NAME and ${NAME}, unset is empty, $$ is $. Source: its
/// expand-external-labels.
std::string ExpandLikeExternalLabels(std::string_view text, const Env& env);
std::string EscapeLikeExternalLabels(std::string_view text);

/// "2KB" is 2048 bytes, "1.5GB" is allowed. Source: Prometheus' base-2 sizes.
Result<Bytes> ParseBinaryBytes(std::string_view text);

}  // namespace picket::config::internal
