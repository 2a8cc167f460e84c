// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/ways_in/way_in.h"

namespace picket::wiring {
namespace {

constexpr WayInEntry kWaysIn[] = {
    {"collectors.scrape", MakeScrape},
    {"collectors.host", MakeHost},
    {"collectors.logs", MakeLogs},
    {"collectors.otlp", MakeOtlp},
};

}  // namespace

std::span<const WayInEntry> WaysIn() { return kWaysIn; }

}  // namespace picket::wiring
