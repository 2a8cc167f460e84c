// SPDX-License-Identifier: Apache-2.0
#include <cctype>

#include "core/base/strings.h"
#include "core/config/node.h"

namespace picket::config {
namespace {

bool IsNumber(std::string_view s) {
  if (s.starts_with('-') || s.starts_with('+')) s.remove_prefix(1);
  if (s.empty() || !std::isdigit(static_cast<unsigned char>(s[0]))) return false;
  return s.find_first_not_of("0123456789.eE+-xXoabcdefABCDEF_") == std::string_view::npos;
}

bool IsJsonNumber(std::string_view s) {
  if (s.starts_with('-')) s.remove_prefix(1);
  if (s.empty() || s.find_first_not_of("0123456789.") != std::string_view::npos) return false;
  if (s.front() == '.' || s.back() == '.' || s.find('.') != s.rfind('.')) return false;
  return s.size() == 1 || s[0] != '0' || s[1] == '.';
}

bool IsWord(std::string_view s) {
  for (std::string_view w : {"true", "false", "yes", "no", "on", "off", "null", "~", "y", "n"}) {
    if (s.size() != w.size()) continue;
    size_t i = 0;
    while (i < s.size() && std::tolower(static_cast<unsigned char>(s[i])) == w[i]) ++i;
    if (i == s.size()) return true;
  }
  return false;
}

/// Texts that YAML 1.1 and 1.2 both read as just that text without quotes.
bool IsPlain(std::string_view s) {
  if (s.empty() || s.size() > 120) return false;
  for (const char c : s)
    if (!std::isalnum(static_cast<unsigned char>(c)) &&
        std::string_view("_-./+:()*$^|,=<> ").find(c) == std::string_view::npos)
      return false;
  if (!std::isalnum(static_cast<unsigned char>(s.front())) &&
      std::string_view("_/(.^$<").find(s.front()) == std::string_view::npos)
    return false;
  return s.find(": ") == std::string_view::npos && !s.ends_with(':') && !s.ends_with(' ') &&
         s.find(" #") == std::string_view::npos && s != "<<" && s != "...";
}

void AppendScalar(std::string& out, const Node& node) {
  const bool as_text = node.quoted && (IsNumber(node.text) || IsWord(node.text));
  if (IsPlain(node.text) && !as_text)
    out += node.text;
  else if (!node.quoted && IsNumber(node.text))
    out += node.text;
  else
    AppendJsonQuoted(out, node.text);
}

std::string KeyText(const std::string& key) {
  std::string out;
  AppendScalar(out, Node::Scalar(key, true));
  return out;
}

bool IsSmallList(const Node& node) {
  size_t size = 0;
  for (const Node& n : node.items) {
    if (!n.IsScalar()) return false;
    size += n.text.size() + 4;
  }
  return size <= 80;
}

void AppendBlock(std::string& out, const Node& node, size_t indent);

/// What follows "key:" or "-".
void AppendAfter(std::string& out, const Node& node, size_t indent, bool in_list) {
  switch (node.kind) {
    case Node::Kind::kNull:
      out += in_list ? " null\n" : "\n";
      return;
    case Node::Kind::kScalar:
      out += ' ';
      AppendScalar(out, node);
      out += '\n';
      return;
    case Node::Kind::kList:
      if (IsSmallList(node)) {
        out += " [";
        for (size_t i = 0; i < node.items.size(); ++i) {
          if (i > 0) out += ", ";
          const std::string& text = node.items[i].text;
          // A comma or bracket would end a plain value here.
          if (text.find_first_of(",[]{}") != std::string::npos)
            AppendJsonQuoted(out, text);
          else
            AppendScalar(out, node.items[i]);
        }
        out += "]\n";
        return;
      }
      break;
    case Node::Kind::kMap:
      if (node.entries.empty()) {
        out += " {}\n";
        return;
      }
      if (in_list) {  // "- key: value" with the rest aligned below
        std::string block;
        AppendBlock(block, node, indent + 2);
        out += ' ';
        out += std::string_view(block).substr(indent + 2);
        return;
      }
      break;
  }
  out += '\n';
  AppendBlock(out, node, indent + 2);
}

void AppendBlock(std::string& out, const Node& node, size_t indent) {
  const std::string pad(indent, ' ');
  for (const Node::Entry& e : node.entries) {
    out += pad + KeyText(e.key) + ":";
    AppendAfter(out, e.value, indent, false);
  }
  for (const Node& n : node.items) {
    out += pad + "-";
    AppendAfter(out, n, indent, true);
  }
}

void AppendJson(std::string& out, const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      out += "null";
      return;
    case Node::Kind::kScalar:
      if (!node.quoted && (node.text == "true" || node.text == "false" || IsJsonNumber(node.text)))
        out += node.text;
      else
        AppendJsonQuoted(out, node.text);
      return;
    case Node::Kind::kList:
      out += '[';
      for (size_t i = 0; i < node.items.size(); ++i) {
        if (i > 0) out += ',';
        AppendJson(out, node.items[i]);
      }
      out += ']';
      return;
    case Node::Kind::kMap:
      out += '{';
      for (size_t i = 0; i < node.entries.size(); ++i) {
        if (i > 0) out += ',';
        AppendJsonQuoted(out, node.entries[i].key);
        out += ':';
        AppendJson(out, node.entries[i].value);
      }
      out += '}';
      return;
  }
}

}  // namespace

std::string EmitYaml(const Node& node) {
  std::string out;
  if (node.IsScalar()) {
    AppendScalar(out, node);
    return out + "\n";
  }
  if (node.IsNull()) return out;
  if (node.entries.empty() && node.items.empty()) return node.IsMap() ? "{}\n" : "[]\n";
  AppendBlock(out, node, 0);
  return out;
}

std::string EmitJson(const Node& node) {
  std::string out;
  AppendJson(out, node);
  return out;
}

}  // namespace picket::config
