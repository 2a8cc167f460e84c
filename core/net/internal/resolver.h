// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace picket::net {

namespace asio = boost::asio;
class Bell;

/// Names to addresses by the system's resolver, off the loops, each name asked once at a time.
/// Answers are kept for 30 s; when the name service is silent or says no, an older answer is used
/// for ten minutes. Threads: any.
class Resolver {
 public:
  using Addresses = std::vector<asio::ip::address>;
  using TimePoint = std::chrono::steady_clock::time_point;

  ~Resolver() { Stop(); }
  /// Errors: kTimeout at the deadline, kIo with the resolver's words. Literal addresses cost
  /// nothing.
  asio::awaitable<Result<Addresses>> Resolve(std::string host, TimePoint deadline);
  void Stop();

 private:
  struct Entry {
    Addresses addresses;  // the last good answer
    TimePoint answered{};
    TimePoint asked{};
    std::string error;  // of the last question
    bool asking = false;
    std::vector<std::shared_ptr<Bell>> waiting;
  };
  void Ask(const std::string& host);

  std::mutex mutex_;  // guards entries_, pool_
  std::map<std::string, Entry> entries_;
  std::unique_ptr<asio::thread_pool> pool_;
};

}  // namespace picket::net
