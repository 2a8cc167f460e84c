// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "exporters/otlp/client.h"

namespace picket::exporters::otlp {

void Body::Add(std::string_view piece, std::shared_ptr<const void> owner) {
  if (!owner) {
    auto copy = std::make_shared<const std::string>(piece);
    piece = *copy;
    owner = std::move(copy);
  }
  pieces.push_back(piece);
  owners.push_back(std::move(owner));
}

std::string_view Body::Joined(std::string& memory) const {
  if (pieces.size() == 1) return pieces.front();
  size_t size = 0;
  for (const auto piece : pieces) size += piece.size();
  memory.reserve(size);
  for (const auto piece : pieces) memory += piece;
  return memory;
}
namespace {

using proto::RpcCode;
using spool::SendOutcome;

constexpr size_t kBodyHead = 256;

/// Servers answer errors with a google.rpc.Status, with JSON or with plain text.
std::string BodyText(std::string_view body) {
  if (auto status = proto::DecodeRpcStatus(body); status && !status->message.empty())
    return status->message;
  return std::string(body.substr(0, kBodyHead));
}

/// gRPC has one code for "too fast" and "too big".
bool SpeaksOfSize(std::string_view message) {
  for (std::string_view sign : {"larger than max", "message size", "too large", "max size"})
    if (message.find(sign) != std::string_view::npos) return true;
  return false;
}

SendOutcome Delivered(std::string_view response) {
  proto::PartialSuccess partial = proto::DecodeExportResponse(response);
  const int64_t rejected = std::clamp<int64_t>(partial.rejected, 0, UINT32_MAX);
  return SendOutcome::Delivered(static_cast<uint32_t>(rejected), std::move(partial.message));
}

}  // namespace

SendOutcome OutcomeOfHttp(const net::HttpResponse& response, UnixMs now_ms) {
  // Every 2xx: some servers answer 201 or 204.
  if (response.ok()) {
    const bool json = response.headers.Get("Content-Type").starts_with("application/json");
    return Delivered(json ? std::string_view{} : response.body);
  }
  std::string message = BodyText(response.body);
  switch (response.status) {
    case 429:
    case 502:
    case 503:
    case 504: {
      const Milliseconds after = net::RetryAfter(response.headers, now_ms);
      return SendOutcome::Retry(std::move(message), response.status,
                                after.count() < 0 ? std::nullopt : std::optional<Duration>(after));
    }
    case 413:
      return SendOutcome::TooLarge(std::move(message));
    default:
      return SendOutcome::Drop(DropReason::kRejected, std::move(message), response.status);
  }
}

SendOutcome OutcomeOfGrpc(RpcCode code, std::string_view message, std::string_view details,
                          std::string_view response, bool retry_exhausted) {
  if (code == RpcCode::kOk) return Delivered(response);
  std::optional<Duration> delay;
  if (const auto status = proto::DecodeRpcStatus(details); status && status->retry_delay)
    delay = *status->retry_delay;
  std::string text = fmt::format("{}: {}", proto::RpcCodeName(code), message.substr(0, kBodyHead));
  if (proto::IsRetryable(code, delay.has_value()))
    return SendOutcome::Retry(std::move(text), 0, delay);
  if (code == RpcCode::kResourceExhausted) {
    if (SpeaksOfSize(message)) return SendOutcome::TooLarge(std::move(text), 0);
    if (retry_exhausted) return SendOutcome::Retry(std::move(text));
  }
  return SendOutcome::Drop(DropReason::kRejected, std::move(text));
}

}  // namespace picket::exporters::otlp
