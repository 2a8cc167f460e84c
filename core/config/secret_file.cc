// SPDX-License-Identifier: Apache-2.0
#include "core/config/object.h"

namespace picket::config {

Result<Secret> SecretOrFile(const Secret& inline_value, const std::string& file) {
  if (file.empty()) return inline_value;
  Result<SourcePtr> source = ReadSource(file);
  if (!source)
    return Fail(std::move(source).error().Remedy(
        "Create the file and let the user Picket runs as read it."));
  std::string text = (*source)->text;
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return Secret(std::move(text));
}

}  // namespace picket::config
