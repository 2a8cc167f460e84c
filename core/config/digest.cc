// SPDX-License-Identifier: Apache-2.0
#include "core/config/digest.h"

#include "core/base/hash.h"
#include "core/base/secret.h"

namespace picket::config {
namespace {

void AddSecrets(const ObjectInfo& info, const void* object, Digest& digest);

void AddSecret(const TypeInfo* type, const void* value, Digest& digest) {
  if (type->kind == Kind::kSecret) {
    digest.Add(static_cast<const Secret*>(value)->Reveal());
  } else if (type->kind == Kind::kObject) {
    AddSecrets(type->object(), value, digest);
  } else if (type->each) {
    type->each(value,
               [&](const std::string&, const void* v) { AddSecret(type->element(), v, digest); });
  }
}

void AddSecrets(const ObjectInfo& info, const void* object, Digest& digest) {
  for (const FieldInfo& f : info.fields)
    if (f.type) AddSecret(f.type, static_cast<const char*>(object) + f.offset, digest);
}

}  // namespace

Digest& Digest::Add(std::string_view text) {
  constexpr uint64_t kOther = 0x9e3779b97f4a7c15;
  low_ = Hash64(text, low_ + text.size());
  high_ = Hash64(text, (high_ ^ kOther) + text.size());
  return *this;
}

Digest& Digest::Add(const Digest& other) {
  const uint64_t both[] = {other.low_, other.high_};
  return Add(std::string_view(reinterpret_cast<const char*>(both), sizeof both));
}

Digest DigestOf(const ObjectInfo& info, const void* object) {
  // The printed form tells everything but the secrets, which follow in the same order.
  Digest digest;
  digest.Add(EmitYaml(ToNode(info, object, PrintWhat::kAll)));
  AddSecrets(info, object, digest);
  return digest;
}

}  // namespace picket::config
