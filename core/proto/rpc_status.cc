// SPDX-License-Identifier: Apache-2.0
#include "core/proto/rpc_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/strings.h"
#include "core/proto/wire.h"

namespace picket::proto {
namespace {

constexpr std::string_view kRetryInfoType = "type.googleapis.com/google.rpc.RetryInfo";

std::string EncodeRetryInfo(std::chrono::milliseconds delay) {
  std::string out;
  Writer w(out);
  const auto duration = w.Begin(1);
  if (delay.count() >= 1000) w.PutInt(1, delay.count() / 1000);
  if (delay.count() % 1000) w.PutInt(2, delay.count() % 1000 * 1'000'000);
  w.End(duration);
  return out;
}

std::optional<std::chrono::milliseconds> DecodeRetryInfo(std::string_view bytes) {
  for (Reader r(bytes); r.Next();) {
    if (!r.Is(1, WireType::kBytes)) continue;
    int64_t seconds = 0;
    int64_t nanos = 0;
    for (Reader d(r.bytes()); d.Next();) {
      if (d.Is(1, WireType::kVarint)) seconds = static_cast<int64_t>(d.value());
      if (d.Is(2, WireType::kVarint)) nanos = static_cast<int64_t>(d.value());
    }
    // A day is longer than any server means; it also keeps the sum from overflowing.
    seconds = std::clamp<int64_t>(seconds, 0, 86'400);
    nanos = std::clamp<int64_t>(nanos, 0, 999'999'999);
    return std::chrono::milliseconds(seconds * 1000 + (nanos + 999'999) / 1'000'000);
  }
  return std::chrono::milliseconds(0);
}

std::optional<std::chrono::milliseconds> DecodeDetail(std::string_view any) {
  std::string_view type;
  std::string_view value;
  for (Reader r(any); r.Next();) {
    if (r.Is(1, WireType::kBytes)) type = r.bytes();
    if (r.Is(2, WireType::kBytes)) value = r.bytes();
  }
  if (!type.ends_with("google.rpc.RetryInfo")) return std::nullopt;
  return DecodeRetryInfo(value);
}

std::string DurationText(std::chrono::milliseconds d) {
  return d.count() % 1000 == 0 ? fmt::format("{}s", d.count() / 1000)
                               : fmt::format("{}.{:03}s", d.count() / 1000, d.count() % 1000);
}

}  // namespace

std::string_view RpcCodeName(RpcCode code) {
  static constexpr std::array<std::string_view, 17> kNames = {"OK",
                                                              "CANCELLED",
                                                              "UNKNOWN",
                                                              "INVALID_ARGUMENT",
                                                              "DEADLINE_EXCEEDED",
                                                              "NOT_FOUND",
                                                              "ALREADY_EXISTS",
                                                              "PERMISSION_DENIED",
                                                              "RESOURCE_EXHAUSTED",
                                                              "FAILED_PRECONDITION",
                                                              "ABORTED",
                                                              "OUT_OF_RANGE",
                                                              "UNIMPLEMENTED",
                                                              "INTERNAL",
                                                              "UNAVAILABLE",
                                                              "DATA_LOSS",
                                                              "UNAUTHENTICATED"};
  const auto i = static_cast<size_t>(code);
  return i < kNames.size() ? kNames[i] : "UNKNOWN";
}

std::string EncodeRpcStatus(const RpcStatus& status) {
  std::string out;
  Writer w(out);
  w.PutVarint(1, static_cast<uint64_t>(status.code));
  if (!status.message.empty()) w.PutBytes(2, status.message);
  if (status.retry_delay) {
    const auto any = w.Begin(3);
    w.PutBytes(1, kRetryInfoType);
    w.PutBytes(2, EncodeRetryInfo(*status.retry_delay));
    w.End(any);
  }
  return out;
}

std::string RpcStatusJson(const RpcStatus& status) {
  std::string out = fmt::format("{{\"code\":{},\"message\":", static_cast<int>(status.code));
  AppendJsonQuoted(out, status.message);
  if (status.retry_delay) {
    out += fmt::format(",\"details\":[{{\"@type\":\"{}\",\"retryDelay\":\"{}\"}}]", kRetryInfoType,
                       DurationText(*status.retry_delay));
  }
  return out + "}";
}

std::optional<RpcStatus> DecodeRpcStatus(std::string_view bytes) {
  RpcStatus status;
  Reader r(bytes);
  while (r.Next()) {
    if (r.Is(1, WireType::kVarint))
      status.code = r.value() <= 16 ? static_cast<RpcCode>(r.value()) : RpcCode::kUnknown;
    else if (r.Is(2, WireType::kBytes))
      status.message = r.bytes();
    else if (r.Is(3, WireType::kBytes)) {
      if (auto delay = DecodeDetail(r.bytes())) status.retry_delay = delay;
    }
  }
  if (!r.ok() || bytes.empty()) return std::nullopt;
  return status;
}

bool IsRetryable(RpcCode code, bool has_retry_delay) {
  switch (code) {
    case RpcCode::kCancelled:
    case RpcCode::kDeadlineExceeded:
    case RpcCode::kAborted:
    case RpcCode::kOutOfRange:
    case RpcCode::kUnavailable:
    case RpcCode::kDataLoss:
      return true;
    case RpcCode::kResourceExhausted:
      return has_retry_delay;
    default:
      return false;
  }
}

std::string EncodeExportResponse(const PartialSuccess& partial) {
  std::string out;
  if (partial.empty()) return out;
  Writer w(out);
  const auto message = w.Begin(1);
  if (partial.rejected != 0) w.PutInt(1, partial.rejected);
  if (!partial.message.empty()) w.PutBytes(2, partial.message);
  w.End(message);
  return out;
}

std::string TraceExportResponseJson(const PartialSuccess& partial) {
  if (partial.empty()) return "{}";
  std::string out = fmt::format("{{\"partialSuccess\":{{\"rejectedSpans\":\"{}\",\"errorMessage\":",
                                partial.rejected);
  AppendJsonQuoted(out, partial.message);
  return out + "}}";
}

PartialSuccess DecodeExportResponse(std::string_view bytes) {
  PartialSuccess partial;
  for (Reader r(bytes); r.Next();) {
    if (!r.Is(1, WireType::kBytes)) continue;
    for (Reader p(r.bytes()); p.Next();) {
      if (p.Is(1, WireType::kVarint)) partial.rejected = static_cast<int64_t>(p.value());
      if (p.Is(2, WireType::kBytes)) partial.message = p.bytes();
    }
  }
  return partial;
}

}  // namespace picket::proto
