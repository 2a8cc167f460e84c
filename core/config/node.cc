// SPDX-License-Identifier: Apache-2.0
#include "core/config/node.h"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace picket::config {
namespace {

constexpr size_t kMaxSourceBytes = 16 << 20;

}  // namespace

SourcePtr MakeSource(std::string name, std::string text, std::string directory) {
  return std::make_shared<const Source>(
      Source{std::move(name), std::move(text), std::move(directory)});
}

Result<SourcePtr> ReadSource(const std::string& path) {
  std::error_code ec;
  if (std::filesystem::is_directory(path, ec)) return Fail(ErrnoError("read " + path, EISDIR));
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(ErrnoError("open " + path, errno != 0 ? errno : EIO));
  std::string text;
  char block[16384];
  while (in.read(block, sizeof block) || in.gcount() > 0) {
    text.append(block, static_cast<size_t>(in.gcount()));
    if (text.size() > kMaxSourceBytes)
      return Fail(ErrorKind::kInvalidArgument, fmt::format("{} is larger than 16 MiB", path));
  }
  if (in.bad()) return Fail(ErrnoError("read " + path, errno != 0 ? errno : EIO));
  const auto absolute = std::filesystem::absolute(path, ec);
  return MakeSource(path, std::move(text),
                    ec ? std::string() : absolute.lexically_normal().parent_path().string());
}

std::string_view Node::KindName() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "a single value";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a mapping";
  }
  return "?";
}

const Node::Entry* Node::FindEntry(std::string_view key) const {
  for (const Entry& e : entries)
    if (e.key == key) return &e;
  return nullptr;
}

const Node* Node::Find(std::string_view key) const {
  const Entry* e = FindEntry(key);
  return e ? &e->value : nullptr;
}

Position Node::Where() const {
  return {source ? source->name : std::string(), place.line, place.column};
}

bool Node::operator==(const Node& o) const {
  if (kind != o.kind || text != o.text || items != o.items || entries.size() != o.entries.size())
    return false;
  for (const Entry& e : entries) {
    const Node* other = o.Find(e.key);
    if (!other || !(e.value == *other)) return false;
  }
  return true;
}

Node Node::Scalar(std::string text, bool quoted) {
  Node n;
  n.kind = Kind::kScalar;
  n.text = std::move(text);
  n.quoted = quoted;
  return n;
}

Node Node::List() {
  Node n;
  n.kind = Kind::kList;
  return n;
}

Node Node::Map() {
  Node n;
  n.kind = Kind::kMap;
  return n;
}

void Node::Add(std::string key, Node value) {
  entries.push_back({std::move(key), {}, {}, std::move(value)});
}

}  // namespace picket::config
