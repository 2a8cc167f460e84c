// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string>
#include <utility>

#include "core/config/node.h"

namespace picket::config::internal {

/// The three lines around a place, numbered, with a caret; `secrets` are ranges to hide beside
/// those that are recognised by their keys. Shape: ends with a newline.
std::string MaskedExcerpt(const Source& source, Place at,
                          std::span<const std::pair<Place, Place>> secrets);

/// Whether a key of this name usually holds something that must not be seen.
bool LooksSecret(std::string_view key);

}  // namespace picket::config::internal
