// SPDX-License-Identifier: Apache-2.0
#include "core/relabel/relabel.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>

#include "core/base/strings.h"
#include "core/relabel/md5.h"

namespace picket::relabel {
namespace {

/// Texts that are put together while a set is processed; kept between steps.
struct Scratch {
  std::string value, target, result;
};

bool IsAscii(std::string_view s) {
  return std::ranges::all_of(s, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void AppendUtf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

/// The code point at `i` of valid UTF-8, which moves behind it.
uint32_t NextCodePoint(std::string_view s, size_t& i) {
  const auto first = static_cast<unsigned char>(s[i++]);
  const int more = first < 0xc0 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  uint32_t c = more == 0 ? first : first & (0x3f >> more);
  for (int k = 0; k < more && i < s.size(); ++k)
    c = c << 6 | (static_cast<unsigned char>(s[i++]) & 0x3f);
  return c;
}

/// Upper or lower case of every letter, also beyond ASCII, independent of the process's locale.
void ChangeCase(std::string_view text, bool upper, std::string& out) {
  if (IsAscii(text) || !IsValidUtf8(text)) {
    for (const char c : text) {
      const bool change = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
      out += change ? static_cast<char>(c ^ 0x20) : c;
    }
    return;
  }
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  for (size_t i = 0; i < text.size();) {
    const wint_t c = NextCodePoint(text, i);
    wint_t changed = c;
    if (utf8) changed = upper ? towupper_l(c, utf8) : towlower_l(c, utf8);
    AppendUtf8(out, static_cast<uint32_t>(changed));
  }
}

/// The joined value of the source labels. A single label is not copied.
std::string_view Joined(const Config& step, const LabelsBuilder& labels, Scratch& scratch) {
  if (step.source_labels.empty()) return {};
  if (step.source_labels.size() == 1) return labels.Get(step.source_labels[0]);
  scratch.value.clear();
  for (size_t i = 0; i < step.source_labels.size(); ++i) {
    if (i > 0) scratch.value += step.separator;
    scratch.value += labels.Get(step.source_labels[i]);
  }
  return scratch.value;
}

void Replace(const Config& step, std::string_view value, LabelsBuilder& labels, Scratch& scratch) {
  Groups groups;
  if (!step.regex.Match(value, groups)) return;
  std::string_view target = step.target_label.text();
  if (step.target_label.HasReferences() || target.find('$') != std::string_view::npos) {
    scratch.target.clear();
    step.target_label.Expand(step.regex, groups, scratch.target);
    if (scratch.target.empty() || !IsValidUtf8(scratch.target)) return;
    target = scratch.target;
  }
  scratch.result.clear();
  step.replacement.Expand(step.regex, groups, scratch.result);
  labels.Set(target, scratch.result);
}

/// Label names as they were before the step: what it adds is not looked at again.
void MapNames(const Config& step, LabelsBuilder& labels, Scratch& scratch) {
  const auto before = labels.pairs();
  Groups groups;
  for (const auto& [name, value] : before) {
    if (!step.regex.Match(name, groups)) continue;
    scratch.target.clear();
    step.replacement.Expand(step.regex, groups, scratch.target);
    if (!scratch.target.empty()) labels.Set(scratch.target, value);
  }
}

void DropNames(const Config& step, bool matching, LabelsBuilder& labels) {
  std::vector<std::string> gone;
  for (const auto& [name, value] : labels.pairs())
    if (step.regex.Matches(name) == matching) gone.push_back(name);
  for (const std::string& name : gone) labels.Delete(name);
}

bool Apply(const Config& step, LabelsBuilder& labels, Scratch& scratch) {
  switch (step.action) {
    case Action::kLabelMap:
      MapNames(step, labels, scratch);
      return true;
    case Action::kLabelDrop:
      DropNames(step, true, labels);
      return true;
    case Action::kLabelKeep:
      DropNames(step, false, labels);
      return true;
    default:
      break;
  }
  const std::string_view value = Joined(step, labels, scratch);
  switch (step.action) {
    case Action::kKeep:
      return step.regex.Matches(value);
    case Action::kDrop:
      return !step.regex.Matches(value);
    case Action::kKeepEqual:
      return labels.Get(step.target_label.text()) == value;
    case Action::kDropEqual:
      return labels.Get(step.target_label.text()) != value;
    case Action::kReplace:
      Replace(step, value, labels, scratch);
      return true;
    case Action::kHashMod:
      if (step.modulus != 0)
        labels.Set(step.target_label.text(),
                   std::to_string(internal::Md5Tail(value) % step.modulus));
      return true;
    default:
      scratch.result.clear();
      ChangeCase(value, step.action == Action::kUppercase, scratch.result);
      labels.Set(step.target_label.text(), scratch.result);
      return true;
  }
}

}  // namespace

bool Process(std::span<const Config> steps, LabelsBuilder& labels) {
  Scratch scratch;
  return std::ranges::all_of(steps,
                             [&](const Config& step) { return Apply(step, labels, scratch); });
}

std::vector<Step> Explain(std::span<const Config> steps, const Labels& labels) {
  std::vector<Step> out;
  LabelsBuilder builder(labels);
  for (const Config& step : steps) {
    const bool kept = Process({&step, 1}, builder);
    out.push_back({builder.Build(), kept});
    if (!kept) break;
  }
  return out;
}

}  // namespace picket::relabel
