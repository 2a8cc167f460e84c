// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace picket {

inline constexpr std::string_view kMetricName = "__name__";

/// A set of label pairs. Shape: sorted by name, names unique, no empty values (an empty value is an
/// absent label). Ownership: one owned buffer; cheap to move. Cost: Get is a binary search.
class Labels {
 public:
  struct Pair {
    std::string_view name;
    std::string_view value;
    auto operator<=>(const Pair&) const = default;
  };

  Labels() = default;
  /// From pairs in any order; the last of equal names wins; empty values are left out.
  explicit Labels(std::vector<std::pair<std::string, std::string>> pairs);
  Labels(std::initializer_list<std::pair<std::string, std::string>> pairs);
  /// From views in any order, same rules.
  static Labels FromViews(std::vector<Pair> pairs);

  size_t size() const { return ends_.size() / 2; }
  bool empty() const { return ends_.empty(); }
  Pair operator[](size_t i) const;
  /// The value or an empty view.
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const { return !Get(name).empty(); }

  class Iterator {
   public:
    Iterator(const Labels* labels, size_t i) : labels_(labels), i_(i) {}
    Pair operator*() const { return (*labels_)[i_]; }
    Iterator& operator++() { return ++i_, *this; }
    bool operator!=(const Iterator& o) const { return i_ != o.i_; }

   private:
    const Labels* labels_;
    size_t i_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

  bool operator==(const Labels& o) const { return text_ == o.text_ && ends_ == o.ends_; }
  /// Order of Prometheus: pairwise by name, then value, then by length.
  std::strong_ordering operator<=>(const Labels& o) const;
  /// The same on every machine and in every run.
  uint64_t Hash() const;
  /// `name{a="b"}`, as Prometheus prints a series.
  std::string ToString() const;
  /// `{"__name__":"x","a":"b"}`.
  std::string ToJson() const;

 private:
  void Assign(std::vector<Pair> pairs);
  std::string text_;            // name value name value ...
  std::vector<uint32_t> ends_;  // where each of them ends in text_
};

/// Edits a label set: start from one, set and delete, take the result. Setting "" deletes.
class LabelsBuilder {
 public:
  LabelsBuilder() = default;
  explicit LabelsBuilder(const Labels& base);
  void Set(std::string_view name, std::string_view value);
  void Delete(std::string_view name) { Set(name, {}); }
  /// The current value or an empty view; valid until the next change.
  std::string_view Get(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }
  Labels Build() const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;  // no empty values, unsorted
};

/// One condition on a label. Regular expressions are RE2, fully anchored, `.` matches newlines.
/// Cost: the pattern is compiled once, shared between copies.
class Matcher {
 public:
  enum class Type : uint8_t { kEqual, kNotEqual, kRegex, kNotRegex };
  static Result<Matcher> Make(Type type, std::string name, std::string value);
  static Matcher Equal(std::string name, std::string value);

  Type type() const { return type_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }
  bool Matches(std::string_view value) const;
  bool MatchesEmpty() const { return Matches({}); }
  /// For a regex that is a plain list of words, a|b|c, those words; else empty. Lets an index look
  /// them up.
  const std::vector<std::string>& Alternatives() const { return alternatives_; }
  std::string ToString() const;

 private:
  struct Regex;
  Matcher(Type type, std::string name, std::string value)
      : type_(type), name_(std::move(name)), value_(std::move(value)) {}
  Type type_;
  std::string name_;
  std::string value_;
  std::shared_ptr<const Regex> regex_;
  std::vector<std::string> alternatives_;
};

/// [a-zA-Z_][a-zA-Z0-9_]*
bool IsLegacyLabelName(std::string_view name);
/// [a-zA-Z_:][a-zA-Z0-9_:]*
bool IsLegacyMetricName(std::string_view name);

}  // namespace picket
