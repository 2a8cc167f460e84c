// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/fields.h"

#include <simdjson.h>

#include <algorithm>

namespace picket::collectors::logs {
namespace od = simdjson::ondemand;

static_assert(FieldExtractor::kPadding >= simdjson::SIMDJSON_PADDING);

struct FieldExtractor::Impl {
  struct Node {
    std::string key;
    int field = -1;
    std::vector<Node> children;
  };
  Node root;
  size_t fields = 0;
  od::parser parser;

  // One walk over a line.
  struct Walk {
    FieldValues& values;
    size_t left;  // fields not found yet
    void* to;
    Keep keep;
  };

  static bool Object(od::object object, const Node& node, Walk& walk);
  static bool Value(od::value value, const Node& node, Walk& walk);
  static bool Leaf(od::value value, std::string_view& out, Walk& walk);
};

namespace {

std::string_view TrimRight(std::string_view raw) {
  while (!raw.empty() && static_cast<unsigned char>(raw.back()) <= ' ') raw.remove_suffix(1);
  return raw;
}

}  // namespace

bool FieldExtractor::Impl::Leaf(od::value value, std::string_view& out, Walk& walk) {
  od::json_type type;
  if (value.type().get(type)) return false;
  switch (type) {
    case od::json_type::string: {
      od::raw_json_string raw;
      if (value.get_raw_json_string().get(raw)) return false;
      const char* const begin = raw.raw();
      const char* p = begin;
      while (*p != '"' && *p != '\\') ++p;  // stage one has found the closing quote
      if (*p == '"') {
        out = {begin, static_cast<size_t>(p - begin)};
        return true;
      }
      std::string_view text;
      if (value.get_string().get(text)) return false;
      out = walk.keep(walk.to, text);
      return true;
    }
    case od::json_type::object:
    case od::json_type::array: {
      std::string_view raw;
      if (type == od::json_type::object) {
        od::object object;
        if (value.get_object().get(object) || object.raw_json().get(raw)) return false;
      } else {
        od::array array;
        if (value.get_array().get(array) || array.raw_json().get(raw)) return false;
      }
      out = TrimRight(raw);
      return true;
    }
    case od::json_type::null:
      return !value.is_null().error();
    default:
      out = TrimRight(value.raw_json_token());
      // Reading it as what it claims to be moves on and checks it.
      if (type == od::json_type::boolean) return !value.get_bool().error();
      return !value.get_double().error() || !value.get_int64().error() ||
             !value.get_uint64().error();
  }
}

bool FieldExtractor::Impl::Value(od::value value, const Node& node, Walk& walk) {
  if (!node.children.empty()) {
    od::json_type type;
    if (value.type().get(type)) return false;
    if (type == od::json_type::object) {
      od::object object;
      if (value.get_object().get(object)) return false;
      if (!Object(object, node, walk)) return false;
      if (node.field < 0) return true;
      std::string_view raw;
      if (object.reset().error() || object.raw_json().get(raw)) return false;
      walk.values[static_cast<size_t>(node.field)] = TrimRight(raw);
      --walk.left;
      return true;
    }
  }
  if (node.field < 0) return true;
  std::string_view& out = walk.values[static_cast<size_t>(node.field)];
  if (out.data() == nullptr) --walk.left;  // of repeated keys the last one wins
  return Leaf(value, out, walk);
}

bool FieldExtractor::Impl::Object(od::object object, const Node& node, Walk& walk) {
  for (auto field : object) {
    od::raw_json_string key;
    if (field.key().get(key)) return false;
    for (const Node& child : node.children) {
      if (!(key == std::string_view(child.key))) continue;
      od::value value;
      if (field.value().get(value) || !Value(value, child, walk)) return false;
      break;
    }
    if (walk.left == 0) return true;
  }
  return true;
}

FieldExtractor::FieldExtractor(std::span<const std::string> paths)
    : impl_(std::make_unique<Impl>()) {
  impl_->fields = paths.size();
  for (size_t i = 0; i < paths.size(); ++i) {
    Impl::Node* node = &impl_->root;
    std::string_view rest = paths[i];
    for (;;) {
      const size_t dot = rest.find('.');
      const std::string_view key = rest.substr(0, dot);
      auto it = std::find_if(node->children.begin(), node->children.end(),
                             [&](const Impl::Node& n) { return n.key == key; });
      if (it == node->children.end())
        it = node->children.insert(node->children.end(), {std::string(key), -1, {}});
      node = &*it;
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    node->field = static_cast<int>(i);
  }
}

FieldExtractor::~FieldExtractor() = default;
FieldExtractor::FieldExtractor(FieldExtractor&&) noexcept = default;

bool FieldExtractor::ExtractWith(std::string_view line, FieldValues& values, void* to, Keep keep) {
  values.assign(impl_->fields, {});
  const size_t brace = line.find_first_not_of(" \t");
  if (brace == std::string_view::npos || line[brace] != '{') return false;
  od::document document;
  if (impl_->parser.iterate(line.data(), line.size(), line.size() + kPadding).get(document))
    return false;
  od::object object;
  if (document.get_object().get(object)) return false;
  Impl::Walk walk{values, impl_->fields, to, keep};
  return Impl::Object(object, impl_->root, walk);
}

}  // namespace picket::collectors::logs
