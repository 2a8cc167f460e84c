// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/steady_timer.hpp>

#include "core/spool/sender.h"

namespace picket::spool {
namespace {

class TimerAlarm final : public Alarm {
 public:
  TimerAlarm(const boost::asio::any_io_executor& executor, const Clock& clock)
      : timer_(executor), clock_(clock) {}

  void Set(Duration steady, std::function<void()> callback) override {
    timer_.expires_after(std::max(steady - clock_.Steady(), Duration(0)));
    timer_.async_wait([callback = std::move(callback)](const boost::system::error_code& code) {
      if (!code) callback();
    });
  }
  void Cancel() override { timer_.cancel(); }

 private:
  boost::asio::steady_timer timer_;
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<Alarm> MakeAlarm(boost::asio::any_io_executor executor, const Clock& clock) {
  return std::make_unique<TimerAlarm>(std::move(executor), clock);
}

}  // namespace picket::spool
