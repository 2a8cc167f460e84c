// SPDX-License-Identifier: Apache-2.0
// Answers of OTLP servers in their wire form: google.rpc.Status with RetryInfo, and partial
// success.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace picket::proto {

/// gRPC's canonical codes. Source: google/rpc/code.proto.
enum class RpcCode : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};
std::string_view RpcCodeName(RpcCode code);  // "UNAVAILABLE"

/// google.rpc.Status, with the one detail that OTLP knows.
struct RpcStatus {
  RpcCode code = RpcCode::kOk;
  std::string message;
  std::optional<std::chrono::milliseconds> retry_delay;  ///< google.rpc.RetryInfo
};
std::string EncodeRpcStatus(const RpcStatus& status);
/// The same in protobuf's JSON mapping.
std::string RpcStatusJson(const RpcStatus& status);
/// Nothing when the bytes are no Status.
std::optional<RpcStatus> DecodeRpcStatus(std::string_view bytes);

/// Source: OTLP specification, "Failures": what a client may send again over gRPC.
/// RESOURCE_EXHAUSTED only with a delay.
bool IsRetryable(RpcCode code, bool has_retry_delay);

/// Export{Trace,Metrics,Logs}PartialSuccess: the three have the same shape.
struct PartialSuccess {
  int64_t rejected = 0;
  std::string message;
  bool empty() const { return rejected == 0 && message.empty(); }
};
/// Export*ServiceResponse; empty bytes on full success.
std::string EncodeExportResponse(const PartialSuccess& partial);
/// The JSON form for traces: {} or {"partialSuccess":{"rejectedSpans":"1","errorMessage":"..."}}.
std::string TraceExportResponseJson(const PartialSuccess& partial);
/// Lenient: bytes that are no response read as full success.
PartialSuccess DecodeExportResponse(std::string_view bytes);

}  // namespace picket::proto
