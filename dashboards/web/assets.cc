// SPDX-License-Identifier: Apache-2.0
#include "dashboards/web/assets.h"

#include <array>

#define PICKET_ASSET(symbol)                     \
  extern "C" const char picket_asset_##symbol[]; \
  extern "C" const char picket_asset_##symbol##_end[]
PICKET_ASSET(index_html);
PICKET_ASSET(app_js);
PICKET_ASSET(style_css);
PICKET_ASSET(dygraph_min_js);
PICKET_ASSET(dygraph_min_css);

namespace picket::dashboards {
namespace {

std::string_view Bytes(const char* from, const char* to) {
  return {from, static_cast<size_t>(to - from)};
}

}  // namespace

const Asset* FindAsset(std::string_view path) {
  static const std::array<Asset, 5> assets = {{
      {"/", "text/html; charset=utf-8",
       Bytes(picket_asset_index_html, picket_asset_index_html_end)},
      {"/assets/app.js", "text/javascript; charset=utf-8",
       Bytes(picket_asset_app_js, picket_asset_app_js_end)},
      {"/assets/style.css", "text/css; charset=utf-8",
       Bytes(picket_asset_style_css, picket_asset_style_css_end)},
      {"/assets/dygraph.min.js", "text/javascript; charset=utf-8",
       Bytes(picket_asset_dygraph_min_js, picket_asset_dygraph_min_js_end)},
      {"/assets/dygraph.min.css", "text/css; charset=utf-8",
       Bytes(picket_asset_dygraph_min_css, picket_asset_dygraph_min_css_end)},
  }};
  for (const Asset& a : assets)
    if (a.path == path) return &a;
  return nullptr;
}

}  // namespace picket::dashboards
