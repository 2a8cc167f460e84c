// SPDX-License-Identifier: Apache-2.0
#include "core/relabel/md5.h"

#include <openssl/evp.h>

#include <memory>

namespace picket::relabel::internal {
namespace {

/// Fetched once: a fetch by name for every value costs more than the digest.
const EVP_MD* Md5() {
  static const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> md(
      EVP_MD_fetch(nullptr, "MD5", "-fips"), &EVP_MD_free);
  return md.get();
}

}  // namespace

bool HaveMd5() { return Md5() != nullptr; }

uint64_t Md5Tail(std::string_view text) {
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (!Md5() || !context || EVP_DigestInit_ex2(context.get(), Md5(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), text.data(), text.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest, &length) != 1 || length != 16)
    return 0;
  uint64_t out = 0;
  for (int i = 8; i < 16; ++i) out = out << 8 | digest[i];
  return out;
}

}  // namespace picket::relabel::internal
