// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "rules/alerting/template/template.h"
#include "rules/alerting/template/value.h"

namespace picket::rules::alerting::tmpl {

/// Names that a template may call.
const std::vector<std::string>& FunctionNames();

/// Calls one. `and`, `or` and `tmpl` are the executor's own. Errors: wrong arguments, as one
/// sentence.
Result<Value> CallFunction(const std::string& name, const std::vector<Value>& args,
                           const TemplateContext& context);

/// Labels as a template sees them: a map of texts.
Value LabelsValue(const Labels& labels);

}  // namespace picket::rules::alerting::tmpl
