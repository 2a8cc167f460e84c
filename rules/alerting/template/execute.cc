// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>

#include "rules/alerting/template/functions.h"
#include "rules/alerting/template/template.h"
#include "rules/alerting/template/tree.h"

namespace picket::rules::alerting {
namespace tmpl {
namespace {

constexpr size_t kMaxOutput = 1 << 20;  // a template that writes more is a loop
constexpr int kMaxCalls = 50;
constexpr int kMaxSteps = 100'000;  // loops in loops hold up every rule

enum class Flow : uint8_t { kNext, kBreak, kContinue };

class Executor {
 public:
  Executor(const Tree& tree, const TemplateContext& context) : tree_(tree), context_(context) {}

  Result<std::string> Run() {
    Set("$labels", LabelsValue(context_.labels ? *context_.labels : Labels()));
    Set("$externalLabels",
        LabelsValue(context_.external_labels ? *context_.external_labels : Labels()));
    Set("$externalURL", Value::String(context_.external_url));
    Set("$value", Value::Float(context_.value));
    const Value data = Value::Struct({{"Labels", variables_[0].second},
                                      {"ExternalLabels", variables_[1].second},
                                      {"ExternalURL", variables_[2].second},
                                      {"Value", variables_[3].second}});
    Set("$", data);
    PICKET_TRY(Walk(tree_.root, data));
    return std::move(out_);
  }

 private:
  static std::unexpected<Error> Wrong(std::string message) {
    return Fail(ErrorKind::kInvalidArgument, std::move(message));
  }

  void Set(const std::string& name, Value v) { variables_.emplace_back(name, std::move(v)); }

  Status CountStep() {
    if (++steps_ > kMaxSteps) return Wrong("the template takes more than 100000 steps");
    return {};
  }

  Result<Flow> Walk(const NodeList& nodes, const Value& dot) {
    const size_t scope = variables_.size();
    Flow flow = Flow::kNext;
    for (const Node& n : nodes) {
      if (out_.size() > kMaxOutput) return Wrong("the expanded text is over 1 MiB");
      PICKET_TRY(CountStep());
      PICKET_ASSIGN(flow, Step(n, dot));
      if (flow != Flow::kNext) break;
    }
    variables_.resize(scope);
    return flow;
  }

  Result<Flow> Step(const Node& n, const Value& dot) {
    switch (n.kind) {
      case Node::Kind::kText:
        out_ += n.text;
        return Flow::kNext;
      case Node::Kind::kBreak:
        return Flow::kBreak;
      case Node::Kind::kContinue:
        return Flow::kContinue;
      case Node::Kind::kAction: {
        PICKET_ASSIGN(const Value v, Evaluate(n.pipeline, dot));
        if (n.pipeline.variables.empty()) out_ += v.Print();
        return Flow::kNext;
      }
      case Node::Kind::kTemplate: {
        Value argument;
        if (!n.pipeline.commands.empty()) {
          PICKET_ASSIGN(argument, Evaluate(n.pipeline, dot));
        }
        PICKET_TRY(CallTemplate(n.text, argument));
        return Flow::kNext;
      }
      case Node::Kind::kIf:
      case Node::Kind::kWith: {
        const size_t scope = variables_.size();
        PICKET_ASSIGN(const Value v, Evaluate(n.pipeline, dot));
        auto flow = v.Truth() ? Walk(n.body, n.kind == Node::Kind::kWith ? v : dot)
                              : Walk(n.otherwise, dot);
        variables_.resize(scope);
        return flow;
      }
      case Node::Kind::kRange:
        return Range(n, dot);
    }
    return Flow::kNext;
  }

  Result<Flow> Range(const Node& n, const Value& dot) {
    const size_t scope = variables_.size();
    Pipeline bare = n.pipeline;
    bare.variables.clear();
    PICKET_ASSIGN(const Value over, Evaluate(bare, dot));
    std::vector<std::pair<Value, Value>> items;
    if (over.kind() == Value::Kind::kList) {
      for (const Value& v : over.AsList())
        items.emplace_back(Value::Int(static_cast<int64_t>(items.size())), v);
    } else if (over.kind() == Value::Kind::kMap) {
      for (const auto& [k, v] : over.AsMap()) items.emplace_back(Value::String(k), v);
    } else if (over.kind() == Value::Kind::kInt) {
      for (int64_t i = 0; i < std::min<int64_t>(over.AsInt(), 10'000); ++i)
        items.emplace_back(Value::Int(i), Value::Int(i));
    } else if (over.kind() != Value::Kind::kNil) {
      return Wrong(fmt::format("range can't iterate over {}", over.Print()));
    }
    if (items.empty()) return Walk(n.otherwise, dot);
    for (auto& [key, value] : items) {
      PICKET_TRY(CountStep());
      const auto& names = n.pipeline.variables;
      if (names.size() == 1) Bind(n.pipeline, names[0], value);
      if (names.size() == 2) Bind(n.pipeline, names[0], key), Bind(n.pipeline, names[1], value);
      PICKET_ASSIGN(const Flow flow, Walk(n.body, value));
      if (n.pipeline.declare) variables_.resize(scope);
      if (flow == Flow::kBreak) break;
    }
    return Flow::kNext;
  }

  Status CallTemplate(const std::string& name, const Value& argument) {
    auto it = tree_.defined.find(name);
    if (it == tree_.defined.end()) return Wrong(fmt::format("template \"{}\" not defined", name));
    if (++calls_ > kMaxCalls) return Wrong("templates call each other too deeply");
    auto outer = std::move(variables_);
    variables_ = {{"$", argument}};
    const auto flow = Walk(it->second, argument);
    variables_ = std::move(outer);
    --calls_;
    if (!flow) return Fail(flow.error());
    return {};
  }

  void Bind(const Pipeline& p, const std::string& name, Value v) {
    if (p.declare) return Set(name, std::move(v));
    for (auto it = variables_.rbegin(); it != variables_.rend(); ++it) {
      if (it->first != name) continue;
      it->second = std::move(v);
      return;
    }
  }

  Result<Value> Evaluate(const Pipeline& p, const Value& dot) {
    std::optional<Value> value;
    for (const Command& c : p.commands) {
      PICKET_ASSIGN(Value next, Run(c, dot, value));
      value = std::move(next);
    }
    for (const std::string& name : p.variables) Bind(p, name, *value);
    return *std::move(value);
  }

  Result<Value> Run(const Command& c, const Value& dot, const std::optional<Value>& piped) {
    const Operand& head = c.operands[0];
    if (head.kind != Operand::Kind::kFunction) {
      if (c.operands.size() > 1 || piped) return Wrong("can't give argument to non-function");
      return Resolve(head, dot);
    }
    if (head.name == "and" || head.name == "or") return Logic(c, dot, piped, head.name == "and");
    std::vector<Value> args;
    for (size_t i = 1; i < c.operands.size(); ++i) {
      PICKET_ASSIGN(Value v, Resolve(c.operands[i], dot));
      args.push_back(std::move(v));
    }
    if (piped) args.push_back(*piped);
    return Call(head, args);
  }

  // Stop at the first operand that decides, as Go does.
  Result<Value> Logic(const Command& c, const Value& dot, const std::optional<Value>& piped,
                      bool is_and) {
    Value v;
    for (size_t i = 1; i < c.operands.size(); ++i) {
      PICKET_ASSIGN(v, Resolve(c.operands[i], dot));
      if (v.Truth() != is_and) return v;
    }
    return piped ? *piped : v;
  }

  Result<Value> Call(const Operand& head, const std::vector<Value>& args) {
    if (head.name == "tmpl") {
      if (args.empty() || args.size() > 2) return Wrong("wrong number of args for tmpl");
      std::string outer = std::move(out_);
      out_.clear();
      const Status done = CallTemplate(args[0].Print(), args.size() == 2 ? args[1] : Value());
      std::swap(outer, out_);
      if (!done) return Fail(done.error());
      return Value::String(std::move(outer));
    }
    PICKET_ASSIGN(Value v, CallFunction(head.name, args, context_));
    return Fields(std::move(v), head.fields);
  }

  Result<Value> Resolve(const Operand& o, const Value& dot) {
    switch (o.kind) {
      case Operand::Kind::kDot:
        return Fields(dot, o.fields);
      case Operand::Kind::kLiteral:
        return o.literal;
      case Operand::Kind::kVariable:
        for (auto it = variables_.rbegin(); it != variables_.rend(); ++it)
          if (it->first == o.name) return Fields(it->second, o.fields);
        return Wrong(fmt::format("undefined variable: {}", o.name));
      case Operand::Kind::kFunction:
        return Call(o, {});
      case Operand::Kind::kPipeline: {
        PICKET_ASSIGN(Value v, Evaluate(*o.pipeline, dot));
        return Fields(std::move(v), o.fields);
      }
    }
    return Value();
  }

  Result<Value> Fields(Value v, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const bool known = v.kind() != Value::Kind::kStruct || v.AsMap().contains(name);
      if (!v.HasFields() || !known)
        return Wrong(
            fmt::format("can't evaluate field {} in type {}", name, Value::KindName(v.kind())));
      auto it = v.AsMap().find(name);
      // An absent key of a map of texts is the empty text (missingkey=zero).
      v = it == v.AsMap().end() ? Value::String("") : Value(it->second);
    }
    return v;
  }

  const Tree& tree_;
  const TemplateContext& context_;
  std::string out_;
  std::vector<std::pair<std::string, Value>> variables_;
  int calls_ = 0;
  int steps_ = 0;
};

}  // namespace
}  // namespace tmpl

Result<Template> Template::Parse(std::string_view text) {
  Template out;
  if (text.find("{{") == std::string_view::npos) {
    out.plain_ = text;
    return out;
  }
  PICKET_ASSIGN(auto tree,
                tmpl::ParseTemplate(text, {"$labels", "$externalLabels", "$externalURL", "$value"},
                                    tmpl::FunctionNames()));
  out.tree_ = std::make_shared<const tmpl::Tree>(std::move(tree));
  return out;
}

std::string Template::Expand(const TemplateContext& context) const {
  if (!tree_) return plain_;
  auto text = tmpl::Executor(*tree_, context).Run();
  if (!text) return fmt::format("<error expanding template: {}>", text.error().message());
  return *std::move(text);
}

}  // namespace picket::rules::alerting
