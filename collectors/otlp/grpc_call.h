// SPDX-License-Identifier: Apache-2.0
// One gRPC call from its arrival to its end. Private to collectors/otlp.
#pragma once
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "collectors/otlp/receiver.h"
#include "core/base/telemetry.h"

namespace picket::collectors::otlp {

class GrpcCall;

/// What the calls of one server share.
struct GrpcShared {
  std::shared_ptr<TraceReceiver> receiver;
  std::shared_ptr<Counter> accepted, refused, invalid, bytes;
  bool authenticate = false;
  std::function<bool(std::string_view token)> token_fits;

  grpc::AsyncGenericService service;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;

  std::mutex mutex;  // guards what follows
  bool stopping = false;
  size_t live = 0;  ///< calls that exist, those waiting to be accepted included
  std::condition_variable gone;
  std::set<GrpcCall*> watchers;
};

/// Ownership: owns itself; deleted when both its last operation and its end have been reported.
class GrpcCall {
 public:
  enum class Step : uint8_t { kAccepted, kRead, kWritten, kFinished, kEnded };
  struct Tag {
    GrpcCall* call;
    Step step;
  };

  /// Waits for the next call, unless the server stops.
  static void Arm(GrpcShared& shared);
  /// One event from the completion queue.
  void On(Step step, bool ok);
  /// For watchers: the server goes away.
  void EndWatch();

 private:
  explicit GrpcCall(GrpcShared& shared) : shared_(shared), stream_(&context_) {}
  ~GrpcCall();

  void OnAccepted();
  void OnRead(bool ok);
  void OnExport();
  void OnCheck();
  void OnWatch();
  void OnWatchEvent(Step step);
  bool Authenticated() const;
  void Reply(std::string_view message);
  void Refuse(const PushAnswer& answer);
  void Finish(const grpc::Status& status);
  std::string TakeBody();
  void Drop();

  GrpcShared& shared_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_;
  grpc::ByteBuffer in_;
  std::shared_ptr<BudgetLease> lease_;
  std::atomic<int> open_{2};  ///< the chain of operations, and the notice of the end
  Tag accepted_{this, Step::kAccepted}, read_{this, Step::kRead}, written_{this, Step::kWritten},
      finished_{this, Step::kFinished}, ended_{this, Step::kEnded};

  bool watching_ = false;
  std::mutex watch_mutex_;  // guards the three below
  bool writing_ = false;
  bool leaving_ = false;  ///< NOT_SERVING is to be said, or the client has gone
  bool finishing_ = false;
};

}  // namespace picket::collectors::otlp
