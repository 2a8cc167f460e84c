// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "core/base/strings.h"
#include "core/relabel/md5.h"
#include "core/relabel/relabel.h"

namespace picket::relabel {
namespace {

std::string_view ActionName(Action a) {
  static constexpr std::string_view kNames[] = {"replace",   "keep",      "drop",     "keepequal",
                                                "dropequal", "hashmod",   "labelmap", "labeldrop",
                                                "labelkeep", "lowercase", "uppercase"};
  return kNames[static_cast<size_t>(a)];
}

bool NeedsTarget(Action a) {
  switch (a) {
    case Action::kReplace:
    case Action::kHashMod:
    case Action::kKeepEqual:
    case Action::kDropEqual:
    case Action::kLowercase:
    case Action::kUppercase:
      return true;
    default:
      return false;
  }
}

void RefuseField(std::string_view key, const Config& c, std::string_view allowed,
                 config::Reporter& r) {
  r.Error(key, fmt::format("{} does not use \"{}\"", ActionName(c.action), key),
          fmt::format("Remove it; {} takes only {}.", ActionName(c.action), allowed));
}

/// Some actions read few of the settings; a setting that would be ignored is an error.
void CheckAllowed(const Config& c, config::Reporter& r) {
  static const Config kDefault;
  const bool equal = c.action == Action::kKeepEqual || c.action == Action::kDropEqual;
  const bool names = c.action == Action::kLabelDrop || c.action == Action::kLabelKeep;
  const bool cases = c.action == Action::kLowercase || c.action == Action::kUppercase;
  const std::string_view allowed = equal   ? "source_labels and target_label"
                                   : names ? "regex"
                                           : "source_labels, separator and target_label";
  if (names && !c.source_labels.empty()) RefuseField("source_labels", c, allowed, r);
  if (names && !c.target_label.empty()) RefuseField("target_label", c, allowed, r);
  if (equal && (r.IsSet("regex") || !(c.regex == kDefault.regex)))
    RefuseField("regex", c, allowed, r);
  if ((equal || names) && c.modulus != 0) RefuseField("modulus", c, allowed, r);
  if ((equal || names) && c.separator != kDefault.separator)
    RefuseField("separator", c, allowed, r);
  if ((equal || names || cases) && !(c.replacement == kDefault.replacement))
    RefuseField("replacement", c, allowed, r);
}

void CheckStep(const Config& c, config::Reporter& r) {
  CheckAllowed(c, r);
  for (size_t i = 0; i < c.source_labels.size(); ++i)
    if (c.source_labels[i].empty() || !IsValidUtf8(c.source_labels[i]))
      r.Error(fmt::format("source_labels[{}]", i), "is not a label name",
              "A label name is UTF-8 and not empty.");
  if (c.action == Action::kHashMod && c.modulus == 0)
    r.Error(r.IsSet("modulus") ? "modulus" : "", "hashmod needs a modulus above 0",
            "Add `modulus:`, the number of shares.");
  if (c.action == Action::kHashMod && !internal::HaveMd5())
    r.Error("action", "hashmod needs MD5, which this system's OpenSSL does not offer",
            "Allow MD5 for non-security use in OpenSSL's configuration.");
  if (NeedsTarget(c.action) && c.target_label.empty())
    r.Error(r.IsSet("target_label") ? "target_label" : "",
            fmt::format("{} needs a target_label", ActionName(c.action)),
            "Add `target_label:`, the label the result is about.");
  if (!IsValidUtf8(c.target_label.text()))
    r.Error("target_label", "is not a label name", "A label name is UTF-8 and not empty.");
  if (c.action == Action::kLabelMap &&
      (c.replacement.empty() || !IsValidUtf8(c.replacement.text())))
    r.Error("replacement", "is not a label name", "labelmap makes label names of it.");
}

}  // namespace

void Declare(config::Object<Config>& o) {
  o.Doc(
      "One relabelling step, as in Prometheus: looks at labels and changes, keeps or drops the "
      "set.");
  o.Field("source_labels", &Config::source_labels,
          "The labels whose values are joined and looked at.");
  o.Field("separator", &Config::separator, "What stands between the joined values.").NoExpand();
  o.Field("regex", &Config::regex,
          "An RE2 pattern for the whole joined value (label names for labelmap, labeldrop, "
          "labelkeep).")
      .NoExpand()
      .NullIsEmpty();
  o.Field("modulus", &Config::modulus, "For hashmod: the number of shares.");
  o.Field("target_label", &Config::target_label,
          "The label that is written or compared; replace may use ${1} and ${name} in it.")
      .NoExpand();
  o.Field(
       "replacement", &Config::replacement,
       "What replace writes and labelmap renames to; $1, ${1} and ${name} are groups of the regex.")
      .NoExpand();
  o.Field("action", &Config::action, "What the step does.")
      .AnyCase()
      .OneOf({{"replace", Action::kReplace},
              {"keep", Action::kKeep},
              {"drop", Action::kDrop},
              {"keepequal", Action::kKeepEqual},
              {"dropequal", Action::kDropEqual},
              {"hashmod", Action::kHashMod},
              {"labelmap", Action::kLabelMap},
              {"labeldrop", Action::kLabelDrop},
              {"labelkeep", Action::kLabelKeep},
              {"lowercase", Action::kLowercase},
              {"uppercase", Action::kUppercase}});
  o.Check(CheckStep);
}

}  // namespace picket::relabel
