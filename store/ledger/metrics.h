// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::store::ledger {

inline constexpr MetricRow kRejectedTotal{
    MetricRow::Kind::kCounter, "picket_ledger_rejected_events_total",
    "Events whose time lies outside of what the ledger keeps."};
inline constexpr MetricRow kDamagedPartsTotal{
    MetricRow::Kind::kCounter, "picket_ledger_damaged_parts_total",
    "Parts of the ledger's files that were found damaged."};

}  // namespace picket::store::ledger
