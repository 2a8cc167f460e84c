// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "rules/alerting/alert.h"

namespace picket::rules::alerting {

/// One alert as it is kept on disk.
struct SavedAlert {
  std::string file;
  std::string group;
  std::string rule;
  Alert alert;
};

struct SavedState {
  UnixMs saved_ms = 0;
  std::vector<SavedAlert> alerts;
};

/// Replaces the file as a whole: written beside it, synced, renamed. Shape: JSON, one object.
/// Errors: kIo.
Status SaveState(const std::string& path, const SavedState& state);
/// Errors: kNotFound when there is none yet, kCorrupt when it cannot be read.
Result<SavedState> LoadState(const std::string& path);

}  // namespace picket::rules::alerting
