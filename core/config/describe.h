// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "core/config/object.h"

/// What can be said about settings from their declarations alone.
namespace picket::config {

/// Text about one setting: where it stands, its sentence, type, default, bounds and names, and for
/// an object what is in it. `key` is a dotted path ("limits.memory", list items without an index)
/// or a bare name, which finds every place it occurs;
/// "" is the whole. Errors: kNotFound, with the nearest known key in the remedy.
Result<std::string> Explain(const ObjectInfo& root, std::string_view key);

/// JSON Schema (draft 2020-12) for editors.
std::string JsonSchema(const ObjectInfo& root, std::string_view title);

/// The reference page: one section an object, one row a setting.
std::string ReferenceMarkdown(const ObjectInfo& root, std::string_view title);

/// "list of duration", "mapping of name to string", "one of http, https".
std::string TypeText(const FieldInfo& field);
/// The default as one line of YAML, or the declared text; empty when there is nothing to say.
std::string DefaultText(const ObjectInfo& owner, const FieldInfo& field);
/// "1ms to 1h", "at least 1", "at most 5"; empty without bounds.
std::string BoundsText(const FieldInfo& field);

}  // namespace picket::config
