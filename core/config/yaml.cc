// SPDX-License-Identifier: Apache-2.0
// The adapter to yaml-cpp. It takes the parser's events, not its tree, because the tree forgets
// repeated keys.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "core/base/strings.h"
#include "core/config/diagnostics.h"
#include "core/config/node.h"

namespace picket::config {
namespace {

constexpr size_t kMaxDepth = 100;
constexpr size_t kMaxNodes = 250'000;
constexpr size_t kMaxCopiedBytes = 64 << 20;
constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

/// Ends the parse of a document; caught in this file.
struct Stop {};

bool DecodeBase64(std::string_view text, std::string& out) {
  uint32_t bits = 0;
  int have = 0;
  size_t digits = 0, padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    uint32_t v = 0;
    if (c >= 'A' && c <= 'Z')
      v = static_cast<uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      v = static_cast<uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      v = static_cast<uint32_t>(c - '0') + 52;
    else if (c == '+')
      v = 62;
    else if (c == '/')
      v = 63;
    else if (c == '=') {
      ++padding;
      continue;
    } else
      return false;
    if (padding > 0) return false;
    ++digits;
    bits = bits << 6 | v;
    have += 6;
    if (have >= 8) {
      have -= 8;
      out += static_cast<char>(bits >> have & 0xff);
    }
  }
  return (digits + padding) % 4 == 0 && padding <= 2;
}

/// How much of the limits a value takes when an alias copies it.
struct Weight {
  size_t nodes = 0, bytes = 0;
};
Weight Weigh(const Node& node) {
  Weight w{1, node.text.size()};
  auto add = [&w](const Node& child) {
    const Weight c = Weigh(child);
    w.nodes += c.nodes;
    w.bytes += c.bytes;
  };
  for (const Node& n : node.items) add(n);
  for (const Node::Entry& e : node.entries) {
    w.bytes += e.key.size();
    add(e.value);
  }
  return w;
}

class Builder final : public YAML::EventHandler {
 public:
  Builder(SourcePtr source, Diagnostics& diagnostics)
      : source_(std::move(source)), diagnostics_(diagnostics) {}

  /// The document just read, if it held anything.
  std::optional<Node> Take() {
    if (!root_) return std::nullopt;
    SetEnds(*root_);
    std::optional<Node> out = std::move(root_);
    root_.reset();
    return out;
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // A stray "," or "}" is not consumed by the parser: it would be a document for ever.
    if (mark.pos == document_)
      Fault(At(mark), "YAML syntax: this cannot stand here",
            "Check indentation, quotes and colons around this place.");
    document_ = mark.pos;
    stack_.clear();
    anchors_.clear();
    open_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Value(Make(mark, Node::Kind::kNull), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const Place at = At(mark);
    if (open_.contains(anchor)) Fault(at, "the alias stands inside its own anchor", {});
    auto it = anchors_.find(anchor);
    if (it == anchors_.end()) Fault(at, "the alias names an unknown anchor", {});
    nodes_ += it->second.weight.nodes;
    copied_bytes_ += it->second.weight.bytes;
    if (nodes_ > kMaxNodes || copied_bytes_ > kMaxCopiedBytes)
      Fault(at, "the document grows too large when its aliases are resolved",
            "Aliases of aliases multiply; write less through them.");
    if (stack_.size() + it->second.depth > kMaxDepth) TooDeep(at);
    Node copy = it->second.node;
    Value(std::move(copy), 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = Make(mark, Node::Kind::kScalar);
    node.text = value;
    node.quoted = tag == "!" || tag == kTagPrefix.data() + std::string("str");
    if (tag == std::string(kTagPrefix) + "binary") {
      node.quoted = true;
      node.text.clear();
      if (!DecodeBase64(value, node.text))
        Report(node.place, "the !!binary value is not base64",
               "Encode the bytes, or write a text.");
    } else if (tag == std::string(kTagPrefix) + "null") {
      node.kind = Node::Kind::kNull;
      node.text.clear();
    } else {
      CheckTag(node.place, tag);
    }
    Value(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Node::Kind::kList);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override {
    Merge(stack_.back());
    Close();
  }

  /// A position of the parser itself, as ours.
  static Place At(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    bool have_key = false;
    std::string key;
    Place key_place;
    size_t depth = 0;  // of what is below
    std::vector<Node> merges;
    std::unordered_set<std::string> keys;
  };
  struct Anchored {
    Node node;
    Weight weight;
    size_t depth = 0;
  };

  void Report(Place at, std::string cause, std::string remedy) {
    diagnostics_.Add({Severity::kError, source_, at, {}, std::move(cause), std::move(remedy), {}});
  }
  [[noreturn]] void Fault(Place at, std::string cause, std::string remedy) {
    Report(at, std::move(cause), std::move(remedy));
    throw Stop{};
  }
  [[noreturn]] void TooDeep(Place at) {
    Fault(at, fmt::format("values are nested deeper than {} levels", kMaxDepth), {});
  }

  void CheckTag(Place at, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    if (std::string_view t = tag; t.starts_with(kTagPrefix)) {
      t.remove_prefix(kTagPrefix.size());
      for (std::string_view known : {"str", "int", "float", "bool", "map", "seq"})
        if (t == known) return;
    }
    Report(at, fmt::format("the tag {} is unknown", tag), "Leave the tag out.");
  }

  Node Make(const YAML::Mark& mark, Node::Kind kind) {
    Node node;
    node.kind = kind;
    node.place = At(mark);
    node.source = source_;
    marks_.push_back(node.place);
    if (++nodes_ > kMaxNodes) Fault(node.place, "the document has too many values", {});
    return node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            Node::Kind kind) {
    Node node = Make(mark, kind);
    CheckTag(node.place, tag);
    if (stack_.size() >= kMaxDepth) TooDeep(node.place);
    if (anchor != 0) open_.insert(anchor);
    Frame& frame = stack_.emplace_back();
    frame.node = std::move(node);
    frame.anchor = anchor;
  }

  void Close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    open_.erase(frame.anchor);
    if (!stack_.empty()) stack_.back().depth = std::max(stack_.back().depth, frame.depth + 1);
    Value(std::move(frame.node), frame.anchor, frame.depth + 1);
  }

  void Value(Node node, YAML::anchor_t anchor, size_t depth = 1) {
    if (anchor != 0) anchors_[anchor] = {node, Weigh(node), depth};
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& top = stack_.back();
    top.depth = std::max(top.depth, depth);
    if (top.node.IsList()) {
      top.node.items.push_back(std::move(node));
    } else if (!top.have_key) {
      Key(top, node);
    } else {
      top.have_key = false;
      Member(top, std::move(node));
    }
  }

  void Key(Frame& top, const Node& node) {
    if (!node.IsScalar() && !node.IsNull())
      Report(node.place, fmt::format("a key is {}", node.KindName()), "A key is a single value.");
    if (node.IsNull()) Report(node.place, "a key is empty", "Give the value a name.");
    top.have_key = true;
    top.key = node.text;
    top.key_place = node.place;
    // A quoted "<<" is an ordinary key.
    if (node.text == "<<" && !node.quoted) top.key.push_back('\0');
  }

  void Member(Frame& top, Node value) {
    const bool merge = top.key == std::string_view("<<\0", 3);
    if (!top.keys.insert(top.key).second) {
      std::string name = merge ? "<<" : top.key;
      std::string where;
      if (const Node::Entry* first = top.node.FindEntry(top.key))
        where = fmt::format(", first on line {}", first->place.line);
      Report(top.key_place, fmt::format("the key \"{}\" is written twice{}", name, where),
             merge ? "Merge several mappings as a list: <<: [*a, *b]." : "Keep one of them.");
      return;
    }
    if (!merge) {
      top.node.entries.push_back({top.key, top.key_place, source_, std::move(value)});
      return;
    }
    if (value.IsMap()) {
      top.merges.push_back(std::move(value));
      return;
    }
    const bool maps = value.IsList() && std::ranges::all_of(value.items, &Node::IsMap);
    if (!maps)
      Report(top.key_place, fmt::format("<< merges mappings, not {}", value.KindName()),
             "Name a mapping (<<: *anchor) or a list of mappings.");
    else
      for (Node& n : value.items) top.merges.push_back(std::move(n));
  }

  /// Own keys win over merged ones, an earlier mapping over a later. Source: YAML 1.1 merge key
  /// type.
  void Merge(Frame& frame) {
    for (Node& from : frame.merges)
      for (Node::Entry& e : from.entries)
        if (frame.keys.insert(e.key).second) frame.node.entries.push_back(std::move(e));
  }

  /// A scalar ends before whatever starts next.
  void SetEnds(Node& node) {
    auto less = [](Place a, Place b) {
      return a.line != b.line ? a.line < b.line : a.column < b.column;
    };
    if (!sorted_) {
      std::ranges::sort(marks_, less);
      sorted_ = true;
    }
    auto it = std::upper_bound(marks_.begin(), marks_.end(), node.place, less);
    node.end = it == marks_.end() ? Place{1 << 30, 1} : *it;
    for (Node& n : node.items) SetEnds(n);
    for (Node::Entry& e : node.entries) SetEnds(e.value);
  }

  SourcePtr source_;
  Diagnostics& diagnostics_;
  std::vector<Frame> stack_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::unordered_set<YAML::anchor_t> open_;
  std::optional<Node> root_;
  std::vector<Place> marks_;
  bool sorted_ = false;
  size_t nodes_ = 0, copied_bytes_ = 0;
  int document_ = -2;  // where the last one began
};

/// Bytes that no YAML text may hold. yaml-cpp would replace them in silence.
bool CheckBytes(const SourcePtr& source, Diagnostics& diagnostics) {
  int line = 1;
  for (std::string_view text : Split(source->text, '\n')) {
    const auto bad = std::ranges::find_if(text, [](char c) {
      const auto u = static_cast<unsigned char>(c);
      return (u < 0x20 && c != '\t' && c != '\r') || u == 0x7f;
    });
    std::string cause;
    int column = 1;
    if (bad != text.end()) {
      cause = fmt::format("a control character (0x{:02x})", static_cast<unsigned char>(*bad));
      column = static_cast<int>(bad - text.begin()) + 1;
    } else if (!IsValidUtf8(text)) {
      cause = "the line is not UTF-8";
    }
    if (!cause.empty()) {
      diagnostics.Add({Severity::kError,
                       source,
                       {line, column},
                       {},
                       cause,
                       "Save the file as UTF-8; write other bytes as \"\\x..\" or !!binary.",
                       {}});
      return false;
    }
    ++line;
  }
  return true;
}

}  // namespace

std::vector<Node> ParseYamlDocuments(const SourcePtr& source, Diagnostics& diagnostics) {
  std::vector<Node> out;
  if (!CheckBytes(source, diagnostics)) return out;
  Builder builder(source, diagnostics);
  auto syntax = [&](const YAML::Mark& mark, const std::string& what) {
    diagnostics.Add({Severity::kError,
                     source,
                     Builder::At(mark),
                     {},
                     "YAML syntax: " + what,
                     "Check indentation, quotes and colons around this place.",
                     {}});
  };
  try {
    std::istringstream in(source->text);
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder))
      if (auto node = builder.Take(); node && !node->IsNull()) out.push_back(*std::move(node));
  } catch (const Stop&) {  // reported where it was thrown
  } catch (const YAML::Exception& e) {
    syntax(e.mark, e.msg);
  } catch (const std::exception& e) {
    syntax(YAML::Mark::null_mark(), e.what());
  }
  return out;
}

std::optional<Node> ParseYaml(const SourcePtr& source, Diagnostics& diagnostics) {
  const size_t before = diagnostics.errors();
  std::vector<Node> all = ParseYamlDocuments(source, diagnostics);
  if (all.empty()) {
    if (diagnostics.errors() != before) return std::nullopt;
    Node none;
    none.source = source;
    none.place = {1, 1};
    return none;
  }
  if (all.size() > 1)
    diagnostics.Error(all[1], {}, "a second document follows (---)",
                      "Put it into a file of its own; nothing of it would be read.");
  return std::move(all.front());
}

}  // namespace picket::config
