// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "tests/core/config/shop.h"

/// Any text is read or refused; what is read prints as something that reads back to the same print.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  config::LoadOptions options;
  options.lenient = true;
  options.env = [](const std::string& name) -> std::optional<std::string> { return name; };
  auto load = [&](std::string text, shop::Config& out) {
    config::Diagnostics d;
    auto node = config::ParseYaml(config::MakeSource("fuzz", std::move(text)), d);
    if (node) config::Load(*node, out, d, options);
    (void)d.Render();
    return !d.HasErrors();
  };
  shop::Config first;
  if (!load(std::string(reinterpret_cast<const char*>(data), size), first)) return 0;
  const std::string printed = config::ToYaml(first);
  shop::Config second;
  if (!load(printed, second)) std::abort();
  if (config::ToYaml(second) != printed) std::abort();
  return 0;
}
