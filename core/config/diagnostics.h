// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/config/node.h"

namespace picket::config {

enum class Severity : uint8_t { kError, kWarning };

/// One finding about a configuration.
struct Diagnostic {
  Severity severity = Severity::kError;
  SourcePtr source;
  Place place;
  std::string path;     ///< "scrape_configs[0].relabel_configs[2].regex"
  std::string cause;    ///< one sentence
  std::string remedy;   ///< one sentence; may be empty
  std::string nearest;  ///< the known key that was perhaps meant; may be empty

  Position Where() const;
};

/// Everything found in one pass, in the order of the text.
class Diagnostics {
 public:
  void Add(Diagnostic d);
  void Error(const Node& at, std::string path, std::string cause, std::string remedy = {});
  void Warn(const Node& at, std::string path, std::string cause, std::string remedy = {});
  /// Marks a value as secret: no excerpt will show it.
  void Mask(const Node& value);

  /// Findings below `from` are told as below `to`: where the text has it, when values were moved
  /// before they were read.
  void RenamePaths(std::string_view from, std::string_view to);

  bool HasErrors() const { return errors_ > 0; }
  size_t errors() const { return errors_; }
  size_t warnings() const { return all_.size() - errors_; }
  const std::vector<Diagnostic>& all() const { return all_; }
  /// All findings, rendered, and a last line with the counts.
  std::string Render() const;
  /// The findings as one Error (the first one's place, all of them in the message). Only when
  /// HasErrors().
  picket::Error ToError() const;
  /// "file:line:column: error: cause", the three-line excerpt with a caret, nearest key and remedy.
  /// Secrets are masked.
  std::string RenderOne(const Diagnostic& d) const;

 private:
  struct Range {
    const Source* source;
    Place from, to;
  };
  std::vector<Diagnostic> all_;
  std::vector<Range> masked_;
  size_t errors_ = 0;
};

/// The lines around a place with a caret under it; values of keys that look like secrets and
/// user:password in URLs are shown as <secret>.
std::string Excerpt(const Source& source, Place at);

/// What a check reports through: it knows where the object it looks at stands. Keys are names
/// within that object: "url", "relabel_configs[2].regex"; "" is the object itself.
class Reporter {
 public:
  Reporter(Diagnostics* sink, const Node* node, std::string path, bool lenient)
      : sink_(sink), node_(node), path_(std::move(path)), lenient_(lenient) {}

  void Error(std::string_view key, std::string cause, std::string remedy = {}) {
    Report(Severity::kError, key, std::move(cause), std::move(remedy));
  }
  void Warn(std::string_view key, std::string cause, std::string remedy = {}) {
    Report(Severity::kWarning, key, std::move(cause), std::move(remedy));
  }
  /// Something Picket cannot do yet: an error, under --lenient a warning. `what` names it: "Consul
  /// discovery".
  void Unsupported(std::string_view key, std::string_view what);
  /// Whether the key was written down (false without a text, when values were made by a program).
  bool IsSet(std::string_view key) const;
  bool lenient() const { return lenient_; }
  const std::string& path() const { return path_; }
  const Node* node() const { return node_; }

 private:
  void Report(Severity severity, std::string_view key, std::string cause, std::string remedy);
  Diagnostics* sink_;
  const Node* node_;
  std::string path_;
  bool lenient_;
};

}  // namespace picket::config
