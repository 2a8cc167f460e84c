// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/grpc_call.h"

#include <fmt/format.h>

#include <vector>

#include "core/proto/otlp_traces.h"
#include "core/proto/wire.h"

namespace picket::collectors::otlp {
namespace {

constexpr std::string_view kHealthCheck = "/grpc.health.v1.Health/Check";
constexpr std::string_view kHealthWatch = "/grpc.health.v1.Health/Watch";
constexpr std::string_view kTraceService = "opentelemetry.proto.collector.trace.v1.TraceService";

enum class Serving : uint8_t { kServing = 1, kNotServing = 2, kServiceUnknown = 3 };

std::string HealthResponse(Serving serving) {
  std::string out;
  proto::Writer(out).PutVarint(1, static_cast<uint64_t>(serving));
  return out;
}

bool KnowsService(std::string_view request) {
  std::string_view service;
  for (proto::Reader r(request); r.Next();)
    if (r.Is(1, proto::WireType::kBytes)) service = r.bytes();
  return service.empty() || service == kTraceService;
}

grpc::ByteBuffer ToBuffer(std::string_view message) {
  const grpc::Slice slice(message.data(), message.size());
  return grpc::ByteBuffer(&slice, 1);
}

/// "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" -> metrics
std::string_view OtherSignal(std::string_view method) {
  for (std::string_view signal : {"metrics", "logs", "profiles"})
    if (method.starts_with(fmt::format("/opentelemetry.proto.collector.{}.", signal)))
      return signal;
  return {};
}

}  // namespace

void GrpcCall::Arm(GrpcShared& shared) {
  std::lock_guard lock(shared.mutex);
  if (shared.stopping) return;
  ++shared.live;
  auto* call = new GrpcCall(shared);
  call->context_.AsyncNotifyWhenDone(&call->ended_);
  shared.service.RequestCall(&call->context_, &call->stream_, shared.queue.get(),
                             shared.queue.get(), &call->accepted_);
}

GrpcCall::~GrpcCall() {
  std::lock_guard lock(shared_.mutex);
  if (--shared_.live == 0) shared_.gone.notify_all();
}

void GrpcCall::Drop() {
  if (open_.fetch_sub(1) == 1) delete this;
}

void GrpcCall::On(Step step, bool ok) {
  switch (step) {
    case Step::kAccepted:
      // Not accepted means that the server has shut down; the end is not reported then.
      if (!ok) {
        delete this;
        return;
      }
      Arm(shared_);
      OnAccepted();
      return;
    case Step::kRead:
      OnRead(ok);
      return;
    case Step::kWritten:
      OnWatchEvent(step);
      return;
    case Step::kFinished:
      Drop();
      return;
    case Step::kEnded:
      if (watching_) OnWatchEvent(step);
      Drop();
      return;
  }
}

/// What the head alone decides; only then the message is read.
void GrpcCall::OnAccepted() {
  const std::string& method = context_.method();
  if (method == kHealthCheck || method == kHealthWatch) {
    watching_ = method == kHealthWatch;
    stream_.Read(&in_, &read_);
    return;
  }
  if (method != proto::kTraceExportMethod) {
    const std::string_view signal = OtherSignal(method);
    Finish({grpc::StatusCode::UNIMPLEMENTED,
            signal.empty() ? fmt::format("no method {}", method)
                           : fmt::format("OTLP {} are not enabled here; traces are", signal)});
    return;
  }
  if (!Authenticated()) {
    Finish({grpc::StatusCode::UNAUTHENTICATED, "a bearer token is required"});
    return;
  }
  auto lease = shared_.receiver->Admit(std::nullopt);
  if (!lease) {
    shared_.refused->Add();
    Refuse(lease.error());
    return;
  }
  lease_ = *std::move(lease);
  stream_.Read(&in_, &read_);
}

void GrpcCall::OnRead(bool ok) {
  if (!ok) {
    // Over the size limit gRPC has answered RESOURCE_EXHAUSTED by itself, and this status is not
    // sent.
    if (!watching_) shared_.invalid->Add();
    watching_ = false;
    Finish({grpc::StatusCode::INVALID_ARGUMENT, "the call carried no message"});
  } else if (watching_) {
    OnWatch();
  } else if (context_.method() == kHealthCheck) {
    OnCheck();
  } else {
    OnExport();
  }
}

std::string GrpcCall::TakeBody() {
  std::string body;
  grpc::Slice single;
  if (in_.TrySingleSlice(&single).ok()) {
    body.assign(reinterpret_cast<const char*>(single.begin()), single.size());
  } else {
    std::vector<grpc::Slice> slices;
    if (in_.Dump(&slices).ok()) {
      body.reserve(in_.Length());
      for (const grpc::Slice& s : slices)
        body.append(reinterpret_cast<const char*>(s.begin()), s.size());
    }
  }
  in_.Clear();
  return body;
}

void GrpcCall::OnExport() {
  std::string body = TakeBody();
  shared_.bytes->Add(body.size());
  const PushAnswer answer = shared_.receiver->Push(std::move(body), std::move(lease_));
  if (answer.ok()) {
    shared_.accepted->Add();
    Reply(proto::EncodeExportResponse(answer.partial));
    return;
  }
  (proto::IsRetryable(answer.status.code, false) ? shared_.refused : shared_.invalid)->Add();
  Refuse(answer);
}

void GrpcCall::OnCheck() {
  if (KnowsService(TakeBody()))
    Reply(HealthResponse(Serving::kServing));
  else
    Finish({grpc::StatusCode::NOT_FOUND, "unknown service"});
}

bool GrpcCall::Authenticated() const {
  if (!shared_.authenticate) return true;
  const auto& metadata = context_.client_metadata();
  const auto it = metadata.find("authorization");
  if (it == metadata.end()) return false;
  std::string_view value(it->second.data(), it->second.size());
  static constexpr std::string_view kScheme = "Bearer ";
  if (!value.starts_with(kScheme)) return false;
  return shared_.token_fits(value.substr(kScheme.size()));
}

void GrpcCall::Reply(std::string_view message) {
  stream_.WriteAndFinish(ToBuffer(message), grpc::WriteOptions(), grpc::Status::OK, &finished_);
}

void GrpcCall::Refuse(const PushAnswer& answer) {
  Finish({static_cast<grpc::StatusCode>(answer.status.code), answer.status.message,
          proto::EncodeRpcStatus(answer.status)});
}

void GrpcCall::Finish(const grpc::Status& status) { stream_.Finish(status, &finished_); }

void GrpcCall::OnWatch() {
  const bool known = KnowsService(TakeBody());
  {
    std::lock_guard lock(shared_.mutex);
    shared_.watchers.insert(this);
    if (shared_.stopping) leaving_ = true;
  }
  std::lock_guard lock(watch_mutex_);
  writing_ = true;
  stream_.Write(ToBuffer(HealthResponse(known ? Serving::kServing : Serving::kServiceUnknown)),
                &written_);
}

void GrpcCall::EndWatch() {
  std::lock_guard lock(watch_mutex_);
  leaving_ = true;
  if (writing_ || finishing_) return;
  finishing_ = true;
  stream_.WriteAndFinish(ToBuffer(HealthResponse(Serving::kNotServing)), grpc::WriteOptions(),
                         {grpc::StatusCode::UNAVAILABLE, "shutting down"}, &finished_);
}

/// A write has ended, or the client has gone (kEnded).
void GrpcCall::OnWatchEvent(Step step) {
  if (step == Step::kEnded) {
    std::lock_guard lock(shared_.mutex);
    shared_.watchers.erase(this);
  }
  std::lock_guard lock(watch_mutex_);
  if (step == Step::kWritten) writing_ = false;
  if (step == Step::kEnded) leaving_ = true;
  if (!leaving_ || writing_ || finishing_) return;
  finishing_ = true;
  stream_.WriteAndFinish(ToBuffer(HealthResponse(Serving::kNotServing)), grpc::WriteOptions(),
                         {grpc::StatusCode::UNAVAILABLE, "shutting down"}, &finished_);
}

}  // namespace picket::collectors::otlp
