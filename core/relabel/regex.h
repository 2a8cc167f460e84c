// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace picket::relabel {

/// The groups of one match. Shape: [0] is the whole text; a group that took no part is empty. Valid
/// as long as the text.
using Groups = std::array<std::string_view, 33>;

/// An RE2 pattern that must match a whole text, with `.` matching line ends, as in Prometheus 3.
/// What needs no automaton (everything, a word, a list of words, a prefix, a substring) is
/// recognised and compared directly. Ownership: compiled once, shared between copies. Threads:
/// const methods from any thread.
class Regex {
 public:
  /// "(.*)".
  Regex();
  /// Errors: kInvalidArgument with what RE2 says.
  static Result<Regex> Compile(std::string_view pattern);

  const std::string& pattern() const;
  /// Same text; not "matches the same".
  bool operator==(const Regex& o) const { return pattern() == o.pattern(); }
  bool Matches(std::string_view text) const;
  /// Fills the groups 0..GroupCount() when the text matches.
  bool Match(std::string_view text, Groups& groups) const;
  size_t GroupCount() const;
  /// The number of a named group, or -1.
  int GroupNumber(std::string_view name) const;
  /// For tests: whether matching is done without RE2.
  bool IsDirect() const;

 private:
  struct Compiled;
  explicit Regex(std::shared_ptr<const Compiled> c) : compiled_(std::move(c)) {}
  std::shared_ptr<const Compiled> compiled_;
};

/// A text with references to groups: $1, ${1}, ${name}; $$ is $; an unknown group is empty; a lone
/// $ is itself. A name is as long as letters, digits and underscores go, so "$1_total" names the
/// group "1_total". Source: the expansion rules of Go's regexp, which Prometheus configurations are
/// written for.
class Template {
 public:
  Template() = default;
  explicit Template(std::string text);

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool operator==(const Template& o) const { return text_ == o.text_; }
  bool HasReferences() const { return has_references_; }
  /// Appends the text with the groups put in.
  void Expand(const Regex& regex, const Groups& groups, std::string& out) const;

 private:
  struct Part {
    std::string text;  // literal, or a group's name when group is -1 and is_group
    int group = 0;
    bool is_group = false;
  };
  std::string text_;
  std::vector<Part> parts_;
  bool has_references_ = false;
};

}  // namespace picket::relabel
