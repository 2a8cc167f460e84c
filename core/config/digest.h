// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

#include "core/config/object.h"

namespace picket::config {

/// What settings are, secrets included, so that a changed password is a change. It holds two hashes
/// and nothing that could be printed or read back; it is for comparing within one process only.
class Digest {
 public:
  Digest() = default;
  /// Order matters; texts are told apart however they are cut.
  Digest& Add(std::string_view text);
  Digest& Add(const Digest& other);
  bool operator==(const Digest&) const = default;

 private:
  uint64_t low_ = 0, high_ = 0;
};

/// Of every setting of an object, defaults too.
Digest DigestOf(const ObjectInfo& info, const void* object);
template <class T>
Digest DigestOf(const T& object) {
  return DigestOf(ObjectOf<T>(), &object);
}

}  // namespace picket::config
