// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/receiver.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/proto/otlp_traces.h"

namespace picket::collectors::otlp {
namespace {

using proto::RpcCode;

/// A body and its share of the budget live and die together.
struct HeldBody {
  std::string bytes;
  std::shared_ptr<BudgetLease> lease;
};

}  // namespace

TraceReceiver::TraceReceiver(Options options, std::shared_ptr<Balance> balance)
    : options_(options),
      balance_(std::move(balance)),
      sinks_(std::make_shared<const SpanSinks>()) {}

void TraceReceiver::SetSinks(std::shared_ptr<const SpanSinks> sinks) {
  std::lock_guard lock(mutex_);
  sinks_ = std::move(sinks);
}

PushAnswer TraceReceiver::Refuse(RpcCode code, std::string message) {
  PushAnswer answer;
  answer.status.code = code;
  answer.status.message = std::move(message);
  return answer;
}

PushAnswer TraceReceiver::RetryLater(std::string message, std::optional<Milliseconds> delay) const {
  PushAnswer answer = Refuse(RpcCode::kUnavailable, std::move(message));
  answer.status.retry_delay = delay.value_or(options_.retry_after);
  return answer;
}

PushAnswer TraceReceiver::TooLarge() const {
  PushAnswer answer =
      Refuse(RpcCode::kResourceExhausted,
             fmt::format("request is larger than max_request_size, {} bytes after decompression",
                         options_.max_request_bytes));
  answer.too_large = true;
  return answer;
}

std::expected<std::shared_ptr<BudgetLease>, PushAnswer> TraceReceiver::Admit(
    std::optional<uint64_t> bytes) {
  if (draining_) return std::unexpected(RetryLater("shutting down"));
  if (bytes.value_or(0) > options_.max_request_bytes) return std::unexpected(TooLarge());
  if (!options_.budget) return nullptr;
  if (!options_.budget->AcceptAtDoor())
    return std::unexpected(RetryLater("memory is short, send it again later"));
  auto lease = options_.budget->Reserve(BudgetClass::kSpanSlabs, bytes.value_or(0));
  if (!lease) return std::unexpected(RetryLater("memory is short, send it again later"));
  return std::make_shared<BudgetLease>(*std::move(lease));
}

PushAnswer TraceReceiver::Push(std::string body, std::shared_ptr<BudgetLease> lease,
                               const proto::PartialSuccess& rejected) {
  if (body.size() > options_.max_request_bytes) return TooLarge();
  if (lease && lease->bytes() < body.size() && !lease->Resize(body.size()))
    return RetryLater("memory is short, send it again later");
  const auto check = proto::CheckTraces(body);
  if (!check) return Refuse(RpcCode::kInvalidArgument, check.error().message());

  proto::PartialSuccess partial = rejected;
  if (check->bad_spans > 0) {
    partial.rejected += check->bad_spans;
    if (partial.message.empty())
      partial.message =
          "spans without a valid trace id (16 bytes) and span id (8 bytes), not all zero";
    body = proto::WithoutBadSpans(body);
  }
  const uint32_t good = check->spans - check->bad_spans;
  if (good == 0 && partial.rejected > 0) {
    balance_->In(static_cast<uint64_t>(partial.rejected));
    balance_->Drop(DropReason::kInvalid, static_cast<uint64_t>(partial.rejected), partial.message);
    return Refuse(RpcCode::kInvalidArgument, "no span is valid: " + partial.message);
  }
  if (good == 0) return {};
  auto held = std::make_shared<HeldBody>(HeldBody{std::move(body), std::move(lease)});
  return Offer({std::shared_ptr<const std::string>(held, &held->bytes), good}, std::move(partial));
}

PushAnswer TraceReceiver::Offer(const SpanSlab& slab, proto::PartialSuccess partial) {
  std::shared_ptr<const SpanSinks> sinks;
  {
    std::lock_guard lock(mutex_);
    sinks = sinks_;
  }
  Admission worst;
  uint32_t refused_by_sinks = 0;
  for (const auto& sink : sinks->durable) {
    Admission admission = sink->OnSpans(slab);
    refused_by_sinks = std::max(refused_by_sinks, admission.rejected_spans);
    if (admission.verdict > worst.verdict) worst = std::move(admission);
  }
  if (worst.verdict == Admission::Verdict::kRetry) {
    return RetryLater(worst.message.empty() ? "cannot take it now" : worst.message,
                      std::chrono::duration_cast<Milliseconds>(worst.retry_after));
  }
  const auto bad = static_cast<uint64_t>(partial.rejected);
  balance_->In(slab.spans + bad);
  balance_->Drop(DropReason::kInvalid, bad, partial.message);
  if (worst.verdict == Admission::Verdict::kRejected) {
    balance_->Drop(DropReason::kRejected, slab.spans, worst.message);
    return Refuse(RpcCode::kInvalidArgument, worst.message);
  }
  refused_by_sinks = std::min(refused_by_sinks, slab.spans);
  balance_->Drop(DropReason::kLimit, refused_by_sinks, worst.message);
  balance_->Out(slab.spans - refused_by_sinks);
  for (const auto& sink : sinks->observers) (void)sink->OnSpans(slab);
  PushAnswer answer;
  answer.partial = std::move(partial);
  answer.partial.rejected += refused_by_sinks;
  return answer;
}

}  // namespace picket::collectors::otlp
