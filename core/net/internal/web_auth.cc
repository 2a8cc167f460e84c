// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/web_auth.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <boost/asio.hpp>

#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/net/internal/credentials.h"

namespace picket::net {
namespace {

constexpr size_t kMostRemembered = 256;
// A hash of nothing in particular: an unknown user takes as long as a known one.
constexpr const char* kNobody = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze";

std::array<unsigned char, 32> Sha256(std::string_view text) {
  std::array<unsigned char, 32> out{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data());
  return out;
}

// Takes the same time wherever they differ, and whatever their lengths.
bool SameSecret(std::string_view a, std::string_view b) {
  const auto x = Sha256(a), y = Sha256(b);
  return CRYPTO_memcmp(x.data(), y.data(), x.size()) == 0;
}

std::string Text(const TextSource& source) {
  auto text = source.Read();
  if (!text) {
    log::Error("A credential file cannot be read; nobody passes with it",
               {{"error", text.error().ToString()}});
    return {};
  }
  if (!*text) return {};
  return source.from_file() ? std::string(Trim(**text)) : **text;
}

}  // namespace

bool PasswordFits(const std::string& password, const std::string& stored) {
  if (stored.empty() || password.find('\0') != std::string::npos) return false;
  if (!stored.starts_with("$")) return SameSecret(password, stored);
  auto data = std::make_unique<crypt_data>();
  const char* hashed = crypt_r(password.c_str(), stored.c_str(), data.get());
  return hashed != nullptr && hashed[0] != '*' && SameSecret(hashed, stored);
}

WebAuth::WebAuth(Runtime& runtime, const WebConfig& config)
    : runtime_(runtime),
      needed_(config.Authenticates()),
      token_(config.bearer_token.Reveal(), config.bearer_token_file) {
  for (const auto& [user, secret] : config.basic_auth_users)
    users_[user] = TextSource(secret.Reveal(), {});
  for (const auto& [user, file] : config.basic_auth_user_files) users_[user] = TextSource({}, file);
  salt_.resize(32);
  RAND_bytes(reinterpret_cast<unsigned char*>(salt_.data()), static_cast<int>(salt_.size()));
}

std::string WebAuth::Challenge() const {
  return users_.empty() ? "Bearer realm=\"picket\"" : "Basic realm=\"picket\", charset=\"UTF-8\"";
}

bool WebAuth::CheckToken(std::string_view token) const {
  if (!token_.given()) return false;
  const std::string right = Text(token_);
  return !right.empty() && SameSecret(token, right);
}

asio::awaitable<WebAuth::Verdict> WebAuth::CheckBasic(std::string encoded) {
  const std::string plain = Base64Decode(Trim(encoded));
  const size_t colon = plain.find(':');
  if (colon == std::string::npos) co_return Verdict{};
  std::string user = plain.substr(0, colon);
  std::string password = plain.substr(colon + 1);
  const auto it = users_.find(user);
  std::string stored = it == users_.end() ? std::string() : Text(it->second);
  if (!stored.empty() && !stored.starts_with("$"))
    co_return Verdict{SameSecret(password, stored), std::move(user)};
  const Digest digest = Sha256(salt_ + user + '\0' + password + '\0' + stored);
  {
    std::lock_guard lock(mutex_);
    if (!stored.empty() && good_.contains(digest)) co_return Verdict{true, std::move(user)};
  }
  std::function<bool()> compare = [&password, &stored] {
    const bool fits = PasswordFits(password, stored.empty() ? kNobody : stored);
    return fits && !stored.empty();
  };
  const bool allowed = co_await runtime_.Blocking(std::move(compare));
  if (allowed) {
    std::lock_guard lock(mutex_);
    if (good_.size() >= kMostRemembered) good_.clear();
    good_.insert(digest);
  }
  co_return Verdict{allowed, std::move(user)};
}

asio::awaitable<WebAuth::Verdict> WebAuth::Check(std::string authorization) {
  if (!needed_) co_return Verdict{true, {}};
  const size_t space = authorization.find(' ');
  if (space == std::string::npos) co_return Verdict{};
  const std::string_view scheme = std::string_view(authorization).substr(0, space);
  std::string rest(Trim(std::string_view(authorization).substr(space + 1)));
  if (EqualsNoCase(scheme, "bearer")) co_return Verdict{CheckToken(rest), "bearer"};
  if (EqualsNoCase(scheme, "basic") && !users_.empty())
    co_return co_await CheckBasic(std::move(rest));
  co_return Verdict{};
}

}  // namespace picket::net
