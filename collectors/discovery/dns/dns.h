// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>
#include <vector>

#include "collectors/discovery/dns/lookup.h"
#include "collectors/discovery/remote.h"

namespace picket::collectors::discovery {

/// Asks for each name in turn, on a thread of its own: a name server that is silent for seconds
/// keeps nobody else waiting. Names fail one by one.
class DnsDiscoverer final : public PeriodicDiscoverer {
 public:
  DnsDiscoverer(DnsSdConfig config, const Environment& environment, DnsServers servers = {});

 private:
  /// A lookup in flight, which outlives a caller that is cancelled.
  struct Question;
  asio::awaitable<void> Refresh() override;
  TargetGroup Group(const std::string& name, const std::vector<DnsRecord>& records) const;

  const DnsSdConfig config_;
  const DnsServers servers_;
  const DnsType type_;
  asio::thread_pool thread_{1};
};

}  // namespace picket::collectors::discovery
