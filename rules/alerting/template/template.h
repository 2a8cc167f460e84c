// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/model/labels.h"

namespace picket::rules::alerting {

namespace tmpl {
struct Tree;
}

/// What a template of an alert sees.
struct TemplateContext {
  const Labels* labels = nullptr;           ///< $labels
  const Labels* external_labels = nullptr;  ///< $externalLabels
  std::string external_url;                 ///< $externalURL
  double value = 0;                         ///< $value
  UnixMs now_ms = 0;
  /// The function `query`: an instant query at now_ms.
  std::function<Result<std::vector<std::pair<Labels, double>>>(const std::string& expression)>
      query;
};

/// A label or annotation value with {{ }} in it. Threads: expand from any.
/// Source: Prometheus documentation, template reference; Go text/template.
class Template {
 public:
  /// Errors: kInvalidArgument: syntax, an undefined variable or function.
  static Result<Template> Parse(std::string_view text);
  /// A failure while expanding becomes the text, as in Prometheus: "<error expanding template:
  /// ...>".
  std::string Expand(const TemplateContext& context) const;

 private:
  std::string plain_;  // when there is nothing to expand
  std::shared_ptr<const tmpl::Tree> tree_;
};

}  // namespace picket::rules::alerting
