// SPDX-License-Identifier: Apache-2.0
// The syntax tree of a template. Source: the language of Go's text/template, as its documentation
// describes it.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rules/alerting/template/value.h"

namespace picket::rules::alerting::tmpl {

struct Pipeline;

/// One operand of a command, with the fields taken from it: .Labels.job, $labels.job, (query "up" |
/// first).Value
struct Operand {
  enum class Kind : uint8_t { kDot, kVariable, kLiteral, kFunction, kPipeline } kind = Kind::kDot;
  std::string name;  ///< of the variable or function
  Value literal;
  std::shared_ptr<Pipeline> pipeline;
  std::vector<std::string> fields;
};

struct Command {
  std::vector<Operand> operands;
};

struct Pipeline {
  std::vector<std::string> variables;  ///< one, or two in range
  bool declare = false;                ///< := and not =
  std::vector<Command> commands;
};

struct Node;
using NodeList = std::vector<Node>;

struct Node {
  enum class Kind : uint8_t {
    kText,
    kAction,
    kIf,
    kRange,
    kWith,
    kTemplate,
    kBreak,
    kContinue
  } kind = Kind::kText;
  std::string text;  ///< of kText; the name in kTemplate
  Pipeline pipeline;
  NodeList body;
  NodeList otherwise;
};

/// A parsed text with the templates it defines.
struct Tree {
  NodeList root;
  std::map<std::string, NodeList> defined;
};

/// Errors: kInvalidArgument with the line. `variables`: names known from the start ("$labels").
/// `functions`: known names.
Result<Tree> ParseTemplate(std::string_view text, const std::vector<std::string>& variables,
                           const std::vector<std::string>& functions);

}  // namespace picket::rules::alerting::tmpl
