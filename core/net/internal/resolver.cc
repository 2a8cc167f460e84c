// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/resolver.h"

#include <fmt/format.h>
#include <netdb.h>

#include <boost/asio.hpp>
#include <utility>

#include "core/net/runtime.h"

namespace picket::net {
namespace {

constexpr auto kFresh = std::chrono::seconds(30);
constexpr auto kStale = std::chrono::minutes(10);
constexpr auto kRefusedFor =
    std::chrono::seconds(1);  // a name that is not known is not asked again at once
constexpr size_t kThreads = 2;

std::pair<Resolver::Addresses, std::string> AskSystem(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  Resolver::Addresses out;
  if (const int rc = getaddrinfo(host.c_str(), nullptr, &hints, &found); rc != 0)
    return {out, gai_strerror(rc)};
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    if (a->ai_family == AF_INET) {
      const auto* in = reinterpret_cast<const sockaddr_in*>(a->ai_addr);
      out.push_back(asio::ip::address_v4(ntohl(in->sin_addr.s_addr)));
    } else if (a->ai_family == AF_INET6) {
      const auto* in = reinterpret_cast<const sockaddr_in6*>(a->ai_addr);
      asio::ip::address_v6::bytes_type bytes;
      std::copy_n(in->sin6_addr.s6_addr, bytes.size(), bytes.begin());
      out.push_back(asio::ip::address_v6(bytes, in->sin6_scope_id));
    }
  }
  freeaddrinfo(found);
  return {out, out.empty() ? "no address" : ""};
}

}  // namespace

asio::awaitable<Result<Resolver::Addresses>> Resolver::Resolve(std::string host,
                                                               TimePoint deadline) {
  boost::system::error_code ec;
  if (auto literal = asio::ip::make_address(host, ec); !ec) co_return Addresses{literal};
  auto bell = std::make_shared<Bell>(co_await asio::this_coro::executor);
  {
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[host];
    const auto now = std::chrono::steady_clock::now();
    if (!entry.addresses.empty() && now - entry.answered < kFresh) co_return entry.addresses;
    if (!entry.error.empty() && entry.addresses.empty() && now - entry.asked < kRefusedFor)
      co_return Fail(ErrorKind::kIo, fmt::format("resolve {}: {}", host, entry.error));
    entry.waiting.push_back(bell);
    if (!std::exchange(entry.asking, true)) Ask(host);
  }
  const bool rung = co_await bell->Wait(deadline - std::chrono::steady_clock::now());
  std::lock_guard lock(mutex_);
  const Entry& entry = entries_[host];
  if (!entry.addresses.empty() && std::chrono::steady_clock::now() - entry.answered < kStale)
    co_return entry.addresses;
  if (!rung)
    co_return Fail(ErrorKind::kTimeout, fmt::format("resolve {}: no answer in time", host));
  co_return Fail(ErrorKind::kIo, fmt::format("resolve {}: {}", host, entry.error));
}

// Called under the lock.
void Resolver::Ask(const std::string& host) {
  if (!pool_) pool_ = std::make_unique<asio::thread_pool>(kThreads);
  asio::post(*pool_, [this, host] {
    auto [addresses, error] = AskSystem(host);
    std::vector<std::shared_ptr<Bell>> waiting;
    {
      std::lock_guard lock(mutex_);
      Entry& entry = entries_[host];
      entry.asking = false;
      entry.error = error;
      entry.asked = std::chrono::steady_clock::now();
      if (!addresses.empty()) {
        entry.addresses = std::move(addresses);
        entry.answered = entry.asked;
      }
      waiting.swap(entry.waiting);
    }
    for (auto& bell : waiting) bell->Ring();
  });
}

void Resolver::Stop() {
  std::unique_ptr<asio::thread_pool> pool;
  {
    std::lock_guard lock(mutex_);
    pool = std::move(pool_);
  }
  if (!pool) return;
  pool->stop();
  pool->join();
}

}  // namespace picket::net
