// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace picket::collectors::discovery {

enum class DnsType : uint16_t { kA = 1, kNs = 2, kMx = 15, kAaaa = 28, kSrv = 33 };

/// One record of an answer.
struct DnsRecord {
  std::string name;   ///< a host without its last dot, or an address
  uint16_t port = 0;  ///< SRV only
};

/// Whom to ask. Empty: as /etc/resolv.conf says.
struct DnsServers {
  std::string csv;                   ///< 127.0.0.1:5353,[::1]:53
  std::vector<std::string> domains;  ///< of `csv` only
};

/// The records of a name: as it is and under the search domains, in the order of the number of its
/// dots; the first of these names that exists answers, with no record perhaps. If all do not exist
/// the answer is empty. Blocks; ends soon after `stop` is true. Errors: kIo when at least one of
/// the names could not be asked for and none exists, kCancelled.
Result<std::vector<DnsRecord>> LookUp(const std::string& name, DnsType type,
                                      const DnsServers& servers, const std::atomic<bool>& stop);

/// The names that stand for one, fully qualified.
std::vector<std::string> SearchNames(const std::string& name, size_t ndots,
                                     const std::vector<std::string>& domains);

}  // namespace picket::collectors::discovery
