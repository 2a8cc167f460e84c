// SPDX-License-Identifier: Apache-2.0
// Fields of JSON lines, on demand: only the keys asked for are looked at.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace picket::collectors::logs {

/// Views of the values in the order of the names asked for; an absent field has data() == nullptr.
using FieldValues = std::vector<std::string_view>;

/// Looks up a fixed set of paths ("a.b.c") in JSON objects.
/// Threads: one. Cost: one pass over the line up to the last field asked for; nothing is copied
/// unless a value has escapes.
class FieldExtractor {
 public:
  /// `paths[i]` is the path of field i. A path that is a prefix of another gives the raw object.
  explicit FieldExtractor(std::span<const std::string> paths);
  ~FieldExtractor();
  FieldExtractor(FieldExtractor&&) noexcept;

  /// Bytes that must be readable (not meaningful) behind a line.
  static constexpr size_t kPadding = 64;

  /// True if the line is a JSON object as far as it was read. Strings come unescaped, numbers and
  /// booleans as written, null as absent, objects and arrays as their text.
  /// Ownership: values point into the line, or into `unescaped`, whose strings do not move.
  template <class Strings>
  bool Extract(std::string_view line, FieldValues& values, Strings& unescaped) {
    return ExtractWith(line, values, &unescaped, [](void* to, std::string_view text) {
      return std::string_view(static_cast<Strings*>(to)->emplace_back(text));
    });
  }

 private:
  using Keep = std::string_view (*)(void* to, std::string_view text);
  bool ExtractWith(std::string_view line, FieldValues& values, void* to, Keep keep);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace picket::collectors::logs
