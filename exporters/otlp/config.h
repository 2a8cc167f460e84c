// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/secret.h"
#include "core/base/units.h"
#include "core/net/http_config.h"

namespace picket::config {
template <class T>
class Object;
}

namespace picket::exporters::otlp {

enum class Protocol : uint8_t { kAuto, kGrpc, kHttp };
enum class Compression : uint8_t { kNone, kGzip, kZstd };

/// How waiting requests are joined into one.
struct BatchConfig {
  Bytes max_bytes = 3_MiB;  ///< servers of others take 4 MiB by default
  Milliseconds max_wait{200};
};

struct RetryConfig {
  Milliseconds min_backoff{100};
  Milliseconds max_backoff{30'000};
  Milliseconds max_age{0};          ///< 0: never too old
  bool resource_exhausted = false;  ///< try again even without RetryInfo
};

/// One OTLP backend.
struct OtlpExporterConfig {
  std::string name;      ///< default: the endpoint
  std::string endpoint;  ///< host:port for gRPC, http(s)://host:port[/path] for HTTP
  Protocol protocol = Protocol::kAuto;
  bool tls = false;  ///< https:// implies it
  Compression compression = Compression::kNone;
  Milliseconds timeout{10'000};
  std::map<std::string, Secret> headers;
  std::string tenant;  ///< X-Scope-OrgID
  uint32_t concurrency = 4;
  BatchConfig batch;
  RetryConfig retry;
  net::HttpClientConfig http;  ///< TLS and credentials, of both protocols
};

/// An endpoint, taken apart.
struct Target {
  bool grpc = true;
  bool tls = false;
  std::string address;  ///< gRPC: host:port
  std::string url;      ///< HTTP: with /v1/traces
};
Result<Target> TargetOf(const OtlpExporterConfig& config);

void Declare(config::Object<BatchConfig>& o);
void Declare(config::Object<RetryConfig>& o);
void Declare(config::Object<OtlpExporterConfig>& o);

}  // namespace picket::exporters::otlp
