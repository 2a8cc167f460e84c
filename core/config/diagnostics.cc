// SPDX-License-Identifier: Apache-2.0
#include "core/config/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/strings.h"
#include "core/config/excerpt.h"

namespace picket::config {
namespace {

bool Before(const Diagnostic& a, const Diagnostic& b) {
  if (a.source != b.source) return false;
  return a.place.line != b.place.line ? a.place.line < b.place.line
                                      : a.place.column < b.place.column;
}

/// One step of a path as a check writes it: "name" or "[3]".
std::string_view TakeStep(std::string_view& path) {
  if (path.starts_with('.')) path.remove_prefix(1);
  size_t n = path.starts_with('[') ? path.find(']') : path.find_first_of(".[");
  if (path.starts_with('[') && n != std::string_view::npos) ++n;
  const std::string_view step = path.substr(0, n);
  path.remove_prefix(step.size());
  return step;
}

struct Spot {
  const Node* node = nullptr;
  const Node::Entry* entry = nullptr;  // when the last step was a key
  bool found = true;                   // all steps were there
};

Spot Walk(const Node* node, std::string_view path) {
  Spot spot{node, nullptr, node != nullptr};
  while (spot.node && !path.empty()) {
    const std::string_view step = TakeStep(path);
    if (step.empty()) break;
    const Node* next = nullptr;
    const Node::Entry* entry = nullptr;
    if (step.starts_with('[')) {
      const size_t i = std::strtoul(std::string(step.substr(1)).c_str(), nullptr, 10);
      if (i < spot.node->items.size()) next = &spot.node->items[i];
    } else if ((entry = spot.node->FindEntry(step))) {
      next = &entry->value;
    }
    if (!next) {
      spot.found = false;
      break;
    }
    spot.node = next;
    spot.entry = entry;
  }
  return spot;
}

}  // namespace

Position Diagnostic::Where() const {
  return {source ? source->name : std::string(), place.line, place.column};
}

void Diagnostics::Add(Diagnostic d) {
  if (d.severity == Severity::kError) ++errors_;
  // In the order of the text, file by file, though cross-field checks come later.
  auto at = all_.end();
  while (at != all_.begin() && Before(d, *std::prev(at))) --at;
  all_.insert(at, std::move(d));
}

void Diagnostics::Error(const Node& at, std::string path, std::string cause, std::string remedy) {
  Add({Severity::kError,
       at.source,
       at.place,
       std::move(path),
       std::move(cause),
       std::move(remedy),
       {}});
}

void Diagnostics::Warn(const Node& at, std::string path, std::string cause, std::string remedy) {
  Add({Severity::kWarning,
       at.source,
       at.place,
       std::move(path),
       std::move(cause),
       std::move(remedy),
       {}});
}

void Diagnostics::Mask(const Node& value) {
  if (value.IsScalar() && value.source)
    masked_.push_back({value.source.get(), value.place, value.end});
  for (const Node& n : value.items) Mask(n);
  for (const Node::Entry& e : value.entries) Mask(e.value);
}

void Diagnostics::RenamePaths(std::string_view from, std::string_view to) {
  for (Diagnostic& d : all_) {
    if (!d.path.starts_with(from)) continue;
    const std::string_view rest = std::string_view(d.path).substr(from.size());
    if (rest.empty() || rest[0] == '.' || rest[0] == '[')
      d.path = std::string(to) + std::string(rest);
  }
}

std::string Diagnostics::RenderOne(const Diagnostic& d) const {
  const Position p = d.Where();
  std::string out;
  if (!p.file.empty()) out += p.file + ":";
  if (p.line > 0) out += fmt::format("{}:{}:", p.line, p.column);
  if (!out.empty()) out += ' ';
  out += d.severity == Severity::kError ? "error: " : "warning: ";
  if (!d.path.empty()) out += d.path + ": ";
  out += d.cause + "\n";
  if (d.source && d.place.line > 0) {
    std::vector<std::pair<Place, Place>> ranges;
    for (const Range& r : masked_)
      if (r.source == d.source.get()) ranges.emplace_back(r.from, r.to);
    out += internal::MaskedExcerpt(*d.source, d.place, ranges);
  }
  if (!d.nearest.empty()) out += fmt::format("  did you mean: {}\n", d.nearest);
  if (!d.remedy.empty()) out += fmt::format("  remedy: {}\n", d.remedy);
  return out;
}

std::string Diagnostics::Render() const {
  std::string out;
  for (const Diagnostic& d : all_) out += RenderOne(d);
  auto count = [](size_t n, std::string_view what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  if (!all_.empty())
    out += fmt::format("{}, {}\n", count(errors(), "error"), count(warnings(), "warning"));
  return out;
}

picket::Error Diagnostics::ToError() const {
  std::string text;
  Position first;
  for (const Diagnostic& d : all_) {
    if (d.severity != Severity::kError) continue;
    if (text.empty()) first = d.Where();
    if (!text.empty()) {
      const Position p = d.Where();
      text += fmt::format("; {}:{}:{}: ", p.file, p.line, p.column);
    }
    if (!d.path.empty()) text += d.path + ": ";
    text += d.cause;
    if (!d.nearest.empty()) text += fmt::format(" (did you mean \"{}\"?)", d.nearest);
  }
  return picket::Error(ErrorKind::kInvalidArgument, text).At(std::move(first));
}

void Reporter::Report(Severity severity, std::string_view key, std::string cause,
                      std::string remedy) {
  Diagnostic d;
  d.severity = severity;
  d.cause = std::move(cause);
  d.remedy = std::move(remedy);
  d.path = path_;
  if (!key.empty()) d.path += (path_.empty() || key.starts_with('[') ? "" : ".") + std::string(key);
  const Spot spot = Walk(node_, key);
  if (spot.node) {
    const bool at_value = !spot.entry || spot.node->IsScalar();
    d.source = at_value ? spot.node->source : spot.entry->source;
    d.place = at_value ? spot.node->place : spot.entry->place;
  }
  sink_->Add(std::move(d));
}

void Reporter::Unsupported(std::string_view key, std::string_view what) {
  Report(lenient_ ? Severity::kWarning : Severity::kError, key,
         fmt::format("not supported by Picket yet: {}", what),
         lenient_ ? "It is left out." : "Remove it, or pass --lenient to run without it.");
}

bool Reporter::IsSet(std::string_view key) const { return node_ && Walk(node_, key).found; }

}  // namespace picket::config
