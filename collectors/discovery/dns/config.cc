// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/dns/config.h"

#include "core/net/http_headers.h"

namespace picket::collectors::discovery {

void Declare(config::Object<DnsSdConfig>& o) {
  o.Doc("Targets from DNS records.");
  o.Field("names", &DnsSdConfig::names,
          "What to ask for; the search domains of /etc/resolv.conf are tried too.")
      .Required()
      .NonEmpty()
      .Example("[_metrics._tcp.example.com]");
  o.Field("type", &DnsSdConfig::type, "The kind of record.")
      .OneOf({"SRV", "A", "AAAA", "MX", "NS"})
      .AnyCase();
  o.Field("port", &DnsSdConfig::port, "The port of the targets; an SRV record says its own.");
  o.Field("refresh_interval", &DnsSdConfig::refresh_interval, "How often it is asked.")
      .Min(Milliseconds(1));
  o.Check([](const DnsSdConfig& c, config::Reporter& r) {
    if (c.port == 0 && !net::EqualsNoCase(c.type, "SRV"))
      r.Error("port", "is needed for every type of record but SRV", "Add port.");
  });
}

}  // namespace picket::collectors::discovery
