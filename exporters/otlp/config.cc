// SPDX-License-Identifier: Apache-2.0
#include "exporters/otlp/config.h"

#include <fmt/format.h>

#include "core/config/object.h"

namespace picket::exporters::otlp {

void Declare(config::Object<BatchConfig>& o) {
  o.Doc("How waiting requests are joined into one.");
  o.Field("max_bytes", &BatchConfig::max_bytes,
          "Largest request before compression; larger ones are cut at span boundaries.")
      .Min(64_KiB)
      .Max(64_MiB);
  o.Field("max_wait", &BatchConfig::max_wait, "How long the first span of a batch waits for more.");
}

void Declare(config::Object<RetryConfig>& o) {
  using C = RetryConfig;
  o.Doc("What happens when the backend cannot take a request now.");
  o.Field("min_backoff", &C::min_backoff, "Wait after the first failure; it doubles from there.")
      .Min(Milliseconds(1));
  o.Field("max_backoff", &C::max_backoff, "Longest wait between attempts.").Min(Milliseconds(1));
  o.Field("max_age", &C::max_age, "Age at which waiting spans are dropped; 0 never.");
  o.Field("resource_exhausted", &C::resource_exhausted,
          "Try again on RESOURCE_EXHAUSTED even when the backend names no delay.");
  o.Check([](const C& c, config::Reporter& r) {
    if (c.max_backoff < c.min_backoff)
      r.Error("max_backoff", "is below min_backoff", "Make it at least as long.");
  });
}

void Declare(config::Object<OtlpExporterConfig>& o) {
  using C = OtlpExporterConfig;
  o.Doc("Sends traces to an OTLP backend.");
  o.Field("name", &C::name, "Name in metrics and logs.").DefaultText("the endpoint");
  o.Field("endpoint", &C::endpoint,
          "host:port for gRPC, http://host:port or https://host:port for HTTP; /v1/traces is "
          "appended.")
      .Required()
      .NonEmpty()
      .Example("tempo:4317");
  o.Field("protocol", &C::protocol, "What is spoken when the endpoint leaves it open.")
      .OneOf({{"auto", Protocol::kAuto}, {"grpc", Protocol::kGrpc}, {"http", Protocol::kHttp}});
  o.Field("tls", &C::tls, "Encrypt although the endpoint is not https://.");
  o.Field("compression", &C::compression, "How requests are compressed.")
      .OneOf({{"none", Compression::kNone},
              {"gzip", Compression::kGzip},
              {"zstd", Compression::kZstd}});
  o.Field("timeout", &C::timeout, "Longest time of one request.").Min(Milliseconds(1));
  o.Field("headers", &C::headers, "Headers or gRPC metadata of every request.");
  o.Field("tenant", &C::tenant, "Sent as X-Scope-OrgID.");
  o.Field("concurrency", &C::concurrency, "Most requests in flight.").Min(1).Max(64);
  o.Field("batch", &C::batch, "How waiting requests are joined.");
  o.Field("retry", &C::retry, "What happens when the backend cannot take a request now.");
  o.Inline(&C::http);
  o.Check([](const C& c, config::Reporter& r) {
    const auto target = TargetOf(c);
    if (!target) {
      r.Error("endpoint", target.error().message(), target.error().remedy());
    } else if (target->grpc && c.compression == Compression::kZstd) {
      r.Error("compression", "zstd is not spoken over gRPC", "Use gzip, or an http:// endpoint.");
    } else if (target->grpc && c.http.basic_auth) {
      r.Error("basic_auth", "is for HTTP endpoints", "Use authorization or headers.");
    }
  });
}

Result<Target> TargetOf(const OtlpExporterConfig& config) {
  std::string_view rest = config.endpoint;
  Target target;
  bool scheme = false;
  for (std::string_view known : {"http://", "https://"}) {
    if (!rest.starts_with(known)) continue;
    rest.remove_prefix(known.size());
    scheme = true;
    target.tls = known == "https://";
  }
  if (!scheme && rest.find("://") != std::string_view::npos)
    return Fail(Error(ErrorKind::kInvalidArgument, "has a scheme that is not known")
                    .Remedy("Write host:port, http://host:port or https://host:port."));
  target.tls = target.tls || config.tls;
  target.grpc =
      config.protocol == Protocol::kGrpc || (config.protocol == Protocol::kAuto && !scheme);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  std::string_view path = rest.substr(authority.size());
  while (path.ends_with('/')) path.remove_suffix(1);
  if (authority.empty() || authority.front() == ':')
    return Fail(Error(ErrorKind::kInvalidArgument, "has no host").Remedy("Write host:port."));
  if (target.grpc) {
    if (!path.empty())
      return Fail(Error(ErrorKind::kInvalidArgument, "has a path, which gRPC does not know")
                      .Remedy("Leave the path out, or set protocol: http."));
    const bool has_port =
        authority.find(':') != std::string_view::npos && !authority.ends_with(']');
    target.address = fmt::format("{}{}", authority, has_port ? "" : ":4317");
    return target;
  }
  target.url = fmt::format("{}://{}{}{}", target.tls ? "https" : "http", authority, path,
                           path.ends_with("/v1/traces") ? "" : "/v1/traces");
  return target;
}

}  // namespace picket::exporters::otlp
