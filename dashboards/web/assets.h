// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

namespace picket::dashboards {

struct Asset {
  std::string_view path;  ///< "/" or "/assets/app.js"
  std::string_view content_type;
  std::string_view gzip;  ///< the bytes, compressed
};

/// The page's file at `path`, or nullptr. Ownership: static.
const Asset* FindAsset(std::string_view path);

}  // namespace picket::dashboards
