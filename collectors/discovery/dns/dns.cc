// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/dns/dns.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <optional>

#include "core/net/http_headers.h"

namespace picket::collectors::discovery {
namespace {

DnsType TypeOf(std::string_view text) {
  if (net::EqualsNoCase(text, "A")) return DnsType::kA;
  if (net::EqualsNoCase(text, "AAAA")) return DnsType::kAaaa;
  if (net::EqualsNoCase(text, "MX")) return DnsType::kMx;
  if (net::EqualsNoCase(text, "NS")) return DnsType::kNs;
  return DnsType::kSrv;
}

}  // namespace

struct DnsDiscoverer::Question {
  explicit Question(asio::any_io_executor where) : done(std::move(where)) {}
  net::Bell done;
  std::atomic<bool> stop{false};
  std::atomic<bool> answered{false};  // and only then may `records` be read
  std::optional<Result<std::vector<DnsRecord>>> records;
};

DnsDiscoverer::DnsDiscoverer(DnsSdConfig config, const Environment& environment, DnsServers servers)
    : PeriodicDiscoverer(environment, "dns", "dns_sd", config.refresh_interval),
      config_(std::move(config)),
      servers_(std::move(servers)),
      type_(TypeOf(config_.type)) {}

asio::awaitable<void> DnsDiscoverer::Refresh() {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  for (const std::string& name : config_.names) {
    auto question = std::make_shared<Question>(here);
    asio::post(thread_, [question, name, type = type_, servers = servers_] {
      question->records = LookUp(name, type, servers, question->stop);
      question->answered = true;
      question->done.Ring();
    });
    while (!question->answered) {
      co_await question->done.Wait(std::chrono::milliseconds(250));
      const bool cancelled = co_await net::IsCancelled();
      if (!cancelled && !ended()) continue;
      question->stop = true;
      co_return;
    }
    if (*question->records) {
      std::vector<TargetGroup> groups;
      groups.push_back(Group(name, **question->records));
      Settle(name, std::move(groups));
    } else {
      Settle(name, Fail(std::move(*question->records).error()));
    }
  }
}

// As in Prometheus the last dot of a host is in its label and not in the address.
TargetGroup DnsDiscoverer::Group(const std::string& name,
                                 const std::vector<DnsRecord>& records) const {
  TargetGroup group{name, {}, {}};
  for (const DnsRecord& record : records) {
    LabelsBuilder labels;
    labels.Set("__meta_dns_name", name);
    uint16_t port = config_.port;
    if (type_ == DnsType::kSrv) {
      port = record.port;
      labels.Set("__meta_dns_srv_record_target", record.name + ".");
      labels.Set("__meta_dns_srv_record_port", std::to_string(port));
    } else if (type_ == DnsType::kMx) {
      labels.Set("__meta_dns_mx_record_target", record.name + ".");
    } else if (type_ == DnsType::kNs) {
      labels.Set("__meta_dns_ns_record_target", record.name + ".");
    }
    labels.Set("__address__", JoinHostPort(record.name, std::to_string(port)));
    group.targets.push_back(labels.Build());
  }
  return group;
}

}  // namespace picket::collectors::discovery
