// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace picket::rules::alerting::tmpl {

class Value;
using ValueMap = std::map<std::string, Value>;
using ValueList = std::vector<Value>;

/// A value inside a template: what Go's text/template would see. Maps and lists are shared, never
/// changed.
class Value {
 public:
  enum class Kind : uint8_t {
    kNil,
    kBool,
    kInt,
    kFloat,
    kString,
    kMap,
    kStruct,
    kList,
    kTime,
    kDuration
  };
  Value() = default;
  static Value Bool(bool v);
  static Value Int(int64_t v);
  static Value Float(double v);
  static Value String(std::string v);
  static Value Map(ValueMap v);
  /// Like a map whose keys are fixed: another one is an error.
  static Value Struct(const std::vector<std::pair<std::string, Value>>& fields);
  static Value List(ValueList v);
  static Value Time(UnixNs v);
  static Value DurationOf(Duration v);

  Kind kind() const { return kind_; }
  bool AsBool() const { return number_.i != 0; }
  int64_t AsInt() const { return number_.i; }
  double AsFloat() const { return number_.f; }
  const std::string& AsString() const { return string_; }
  bool HasFields() const { return kind_ == Kind::kMap || kind_ == Kind::kStruct; }
  const ValueMap& AsMap() const { return *map_; }
  const ValueList& AsList() const { return *list_; }

  /// Go's notion of "empty": false, 0, "", nil, a map or list without elements.
  bool Truth() const;
  /// As fmt.Sprint prints it.
  std::string Print() const;
  /// A number from a number or a text that is one. Errors: kInvalidArgument.
  Result<double> ToNumber() const;
  static std::string_view KindName(Kind kind);

 private:
  Kind kind_ = Kind::kNil;
  union {
    int64_t i = 0;
    double f;
  } number_;
  std::string string_;
  std::shared_ptr<const ValueMap> map_;
  std::shared_ptr<const ValueList> list_;
};

/// fmt's %v of a float64: shortest digits, exponent below 1e-4 and from 1e6.
std::string PrintFloat(double v);
/// time.Time's String in UTC: "2015-01-01 00:00:00.5 +0000 UTC".
std::string PrintTime(UnixNs ns);
/// time.Duration's String: "1h0m5s".
std::string PrintDuration(Duration d);
/// fmt.Sprintf for the verbs people use: v s d f F g e q x X t c and %%, with flags, width and
/// precision.
std::string Printf(std::string_view format, const std::vector<Value>& args);

}  // namespace picket::rules::alerting::tmpl
