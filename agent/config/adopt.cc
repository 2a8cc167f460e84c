// SPDX-License-Identifier: Apache-2.0
#include "agent/config/adopt.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/strings.h"

namespace picket::agent::internal {
namespace {

using config::Node;

struct Move {
  std::string_view from, to;
};
constexpr Move kMoves[] = {
    {"global", "collectors.scrape.global"},
    {"scrape_configs", "collectors.scrape.scrape_configs"},
    {"rule_files", "rules.files"},
    {"remote_write", "exporters.remote_write"},
    {"alerting.alertmanagers", "exporters.alertmanager"},
    {"alerting.alert_relabel_configs", "exporters.alert_relabel_configs"},
    {"storage.tsdb.retention.time", "limits.retention"},
    {"storage.tsdb.retention.size", "limits.store"},
};

void MergeEntry(Node& map, Node::Entry entry, const std::string& path,
                config::Diagnostics& diagnostics) {
  const std::string here = path.empty() ? entry.key : path + "." + entry.key;
  auto it = std::ranges::find(map.entries, entry.key, &Node::Entry::key);
  if (it == map.entries.end()) {
    map.entries.push_back(std::move(entry));
    return;
  }
  Node& old = it->value;
  if (entry.value.IsNull()) return;
  if (old.IsNull()) {
    old = std::move(entry.value);
  } else if (old.IsMap() && entry.value.IsMap()) {
    for (Node::Entry& e : entry.value.entries) MergeEntry(old, std::move(e), here, diagnostics);
  } else if (old.IsList() && entry.value.IsList()) {
    std::ranges::move(entry.value.items, std::back_inserter(old.items));
  } else {
    const Position first = it->source ? Position{it->source->name, it->place.line, 0} : Position{};
    diagnostics.Add({config::Severity::kError,
                     entry.source,
                     entry.place,
                     here,
                     fmt::format("is set twice, first at {}:{}", first.file, first.line),
                     "Keep one of them.",
                     {}});
  }
}

/// Takes the entry at a dotted path out of the tree; mappings that are empty then go with it.
bool Take(Node& map, std::string_view path, Node::Entry& out) {
  const size_t dot = path.find('.');
  auto it = std::ranges::find(map.entries, path.substr(0, dot), &Node::Entry::key);
  if (it == map.entries.end()) return false;
  if (dot == std::string_view::npos) {
    out = std::move(*it);
    map.entries.erase(it);
    return true;
  }
  if (!it->value.IsMap() || !Take(it->value, path.substr(dot + 1), out)) return false;
  if (it->value.entries.empty()) map.entries.erase(it);
  return true;
}

const Node* At(const Node& map, std::string_view path) {
  const Node* node = &map;
  for (std::string_view step : Split(path, '.'))
    if (!node || !(node = node->Find(step))) return nullptr;
  return node;
}

/// The entry wrapped in the mappings that lead to its new place.
Node::Entry Wrap(Node::Entry entry, std::string_view to) {
  std::vector<std::string_view> steps = Split(to, '.');
  entry.key = steps.back();
  for (size_t i = steps.size() - 1; i-- > 0;) {
    Node map = Node::Map();
    map.place = entry.place;
    map.source = entry.source;
    Node::Entry outer{std::string(steps[i]), entry.place, entry.source, {}};
    map.entries.push_back(std::move(entry));
    outer.value = std::move(map);
    entry = std::move(outer);
  }
  return entry;
}

}  // namespace

void Merge(Node& into, Node from, config::Diagnostics& diagnostics) {
  if (from.IsNull()) return;
  if (into.IsNull()) {
    into = std::move(from);
    return;
  }
  if (!into.IsMap() || !from.IsMap()) {
    const Node& wrong = into.IsMap() ? from : into;
    diagnostics.Error(wrong, {}, fmt::format("expected a mapping, found {}", wrong.KindName()),
                      "A configuration file is `key: value` lines.");
    return;
  }
  for (Node::Entry& e : from.entries) MergeEntry(into, std::move(e), {}, diagnostics);
}

Adopted AdoptPrometheus(Node& root, config::Diagnostics& diagnostics) {
  Adopted out;
  if (!root.IsMap()) return out;
  static constexpr std::string_view kKeys[] = {
      "global",  "scrape_configs", "rule_files", "remote_write", "alerting", "scrape_config_files",
      "storage", "remote_read",    "tracing",    "otlp",         "runtime"};
  out.any =
      std::ranges::any_of(kKeys, [&](std::string_view k) { return root.FindEntry(k) != nullptr; });
  for (const Move& m : kMoves) {
    Node::Entry entry;
    if (!Take(root, m.from, entry)) continue;
    if (!At(root, m.to)) out.moved.emplace_back(m.from, m.to);
    MergeEntry(root, Wrap(std::move(entry), m.to), {}, diagnostics);
  }
  return out;
}

void RestorePaths(const Adopted& adopted, config::Diagnostics& diagnostics) {
  for (const auto& [from, to] : adopted.moved) diagnostics.RenamePaths(to, from);
}

}  // namespace picket::agent::internal
