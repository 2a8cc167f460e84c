// SPDX-License-Identifier: Apache-2.0
// What Loki's answer means for the lines of a request.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/model/delivery.h"

namespace picket::exporters::loki {

enum class Verdict : uint8_t {
  kDelivered,   ///< all lines are stored
  kPartial,     ///< some or all are refused for good, the others are stored: not to be sent again
  kSplit,       ///< too large in one piece
  kSlowStream,  ///< one stream is over its rate: that one later, the others at once
  kSlowTenant,  ///< all is over its rate: nothing was stored
  kRetry,       ///< not stored, or not known to be: send again, for ever
};

struct Answer {
  Verdict verdict = Verdict::kRetry;
  uint64_t lost = 0;                          ///< of kPartial: lines refused
  DropReason reason = DropReason::kRejected;  ///< of kPartial
  std::string stream;                         ///< of kSlowStream: its labels as Loki writes them
};

/// Reads status and body; `lines` is what the request had.
/// 200 and 204 are delivered, and no other 2xx: 260 says that the data were thrown away on purpose.
/// Refused credentials and addresses (401, 403, 404 ...) concern every request until a person has
/// corrected them, so they are waited out and not paid for with lines.
/// Source: Loki pkg/loghttp/push, pkg/distributor, pkg/validation.
Answer ReadAnswer(int status, std::string_view body, uint64_t lines);

}  // namespace picket::exporters::loki
