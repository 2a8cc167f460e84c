// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace picket::config {

class Diagnostics;

/// One text that settings are read from. `directory` is what relative paths in it are relative to;
/// empty leaves them.
struct Source {
  std::string name;
  std::string text;
  std::string directory;
};
using SourcePtr = std::shared_ptr<const Source>;

/// A source from a text in memory.
SourcePtr MakeSource(std::string name, std::string text, std::string directory = {});
/// A source from a file; its directory is the file's, made absolute. Errors: kNotFound, kIo,
/// kInvalidArgument (over 16 MiB).
Result<SourcePtr> ReadSource(const std::string& path);

/// Where something stands in a source. Shape: both start at 1; 0 is unknown.
struct Place {
  int line = 0;
  int column = 0;
};

/// One value of a YAML document with its place. Anchors, aliases and `<<` merges are already
/// resolved (a copy keeps the place of the original). Ownership: a value; the source is shared.
struct Node {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  bool quoted = false;  ///< a scalar in quotes or a block: never taken for null
  Place place;
  Place end;  ///< at or after a scalar's last character
  SourcePtr source;
  std::string text;            ///< a scalar's text, before ${ENV} is replaced
  std::vector<Node> items;     ///< of a list
  std::vector<Entry> entries;  ///< of a map, in the order written; keys are unique

  bool IsNull() const { return kind == Kind::kNull; }
  bool IsScalar() const { return kind == Kind::kScalar; }
  bool IsList() const { return kind == Kind::kList; }
  bool IsMap() const { return kind == Kind::kMap; }
  /// "a list", "a mapping", "a single value", "nothing".
  std::string_view KindName() const;
  const Entry* FindEntry(std::string_view key) const;
  const Node* Find(std::string_view key) const;
  Position Where() const;
  /// Equal contents; places do not matter.
  bool operator==(const Node& o) const;

  static Node Scalar(std::string text, bool quoted = false);
  static Node List();
  static Node Map();
  void Add(std::string key, Node value);
};

struct Node::Entry {
  std::string key;
  Place place;
  SourcePtr source;
  Node value;
};

/// Limits: 100 levels, 500,000 nodes after aliases are resolved. What breaks a rule (syntax, a
/// repeated key, an unknown alias, a merge of something else than mappings, a second document) goes
/// to `diagnostics`; a tree is returned when one could be built. An empty text is a null node.
/// Errors never leave as exceptions.
std::optional<Node> ParseYaml(const SourcePtr& source, Diagnostics& diagnostics);
/// The same for a text of several documents (`---`), without the empty ones.
std::vector<Node> ParseYamlDocuments(const SourcePtr& source, Diagnostics& diagnostics);

/// Prints a tree as block YAML that reads back as the same tree.
std::string EmitYaml(const Node& node);
/// As JSON; scalars that are plain numbers or booleans stay so.
std::string EmitJson(const Node& node);

}  // namespace picket::config
