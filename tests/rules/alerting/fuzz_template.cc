// SPDX-License-Identifier: Apache-2.0
// Any text is a template or is refused; a good one expands, or says in its text why not, within its
// limits.
#include <cstdlib>

#include "rules/alerting/template/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  using namespace picket::rules::alerting;
  const auto parsed = Template::Parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!parsed) return 0;
  const Labels labels{{"instance", "host:9100"}, {"job", "a"}, {"n", "12"}};
  const Labels external{{"cluster", "c"}};
  TemplateContext context;
  context.labels = &labels;
  context.external_labels = &external;
  context.external_url = "http://picket.test/";
  context.value = 1234.5;
  context.now_ms = 1'700'000'000'000;
  context.query = [](const std::string& text) -> Result<std::vector<std::pair<Labels, double>>> {
    if (text == "bad") return Fail(ErrorKind::kInvalidArgument, "bad");
    return std::vector<std::pair<Labels, double>>{{Labels{{"i", "b"}}, 2}, {Labels{{"i", "a"}}, 1}};
  };
  if (parsed->Expand(context).size() > (8U << 20)) std::abort();
  return 0;
}
