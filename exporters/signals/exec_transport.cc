// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"
#include "exporters/signals/exec.h"
#include "exporters/signals/message.h"
#include "exporters/signals/transport.h"

namespace picket::exporters::signals {
namespace {

class ExecTransport final : public Transport {
 public:
  ExecTransport(std::string name, const SignalConfig& config, net::Runtime& runtime)
      : name_(std::move(name)), config_(config), runtime_(runtime) {}

  net::asio::awaitable<Attempt> Try(RolloutSignal signal) override {
    Command command;
    command.argv = config_.command;
    command.env = MessageEnv(signal);
    command.env.emplace_back("PICKET_SIGNAL", name_);
    command.input = MessageJson(signal);
    command.timeout = config_.timeout;
    std::function<Result<CommandResult>()> run = [this, &command] {
      return RunCommand(command, stop_);
    };
    const auto result = co_await runtime_.Blocking(std::move(run));
    Attempt out;
    if (!result) {
      out.detail = result.error().ToString();
      co_return out;
    }
    if (result->ok())
      out.outcome = Attempt::Outcome::kDelivered;
    else
      out.detail = result->ToString();
    if (result->end == CommandResult::End::kStopped) out.outcome = Attempt::Outcome::kStopped;
    log::Info("Ran a rollout signal's command", {{"signal", name_},
                                                 {"rollout", signal.rollout_id},
                                                 {"result", result->ToString()},
                                                 {"output", result->output}});
    co_return out;
  }
  void Stop() override { stop_.Raise(); }

 private:
  const std::string name_;
  const SignalConfig config_;
  net::Runtime& runtime_;
  StopFlag stop_;
};

}  // namespace

std::unique_ptr<Transport> MakeExec(const std::string& name, const SignalConfig& config,
                                    net::Runtime& runtime) {
  return std::make_unique<ExecTransport>(name, config, runtime);
}

}  // namespace picket::exporters::signals
