// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/template/value.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace picket::rules::alerting::tmpl {
namespace {

std::string Quote(std::string_view s) {
  std::string out = "\"";
  for (const char c : s) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        out += c;
    }
  }
  return out + '"';
}

std::string Digits(int64_t value, int width) {
  std::string s = fmt::format("{:0{}}", value, width);
  while (!s.empty() && s.back() == '0') s.pop_back();
  return s;
}

/// One conversion of a format: flags, width, precision, verb.
struct Spec {
  std::string flags;
  int width = -1;
  int precision = -1;
  char verb = 'v';
};

std::string Pad(const Spec& spec, std::string text) {
  const auto size = static_cast<int>(text.size());
  if (spec.width <= size) return text;
  const auto fill = static_cast<size_t>(spec.width - size);
  if (spec.flags.find('-') != std::string::npos) return text + std::string(fill, ' ');
  if (spec.flags.find('0') != std::string::npos && !text.empty()) {
    const size_t sign = text[0] == '-' || text[0] == '+' ? 1 : 0;
    return text.insert(sign, fill, '0');
  }
  return std::string(fill, ' ') + text;
}

std::string FloatVerb(const Spec& spec, double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  std::string text;
  if (spec.verb == 'v' || (spec.verb == 'g' && spec.precision < 0)) {
    text = PrintFloat(v);
  } else {
    char buffer[512];
    const char format[] = {'%', '.', '*', spec.verb == 'F' ? 'f' : spec.verb, 0};
    std::snprintf(buffer, sizeof buffer, format, spec.precision < 0 ? 6 : spec.precision, v);
    text = buffer;
  }
  if (spec.flags.find('+') != std::string::npos && v >= 0) text.insert(0, "+");
  return text;
}

std::string Convert(const Spec& spec, const Value& v) {
  const std::string bad =
      fmt::format("%!{}({}={})", spec.verb, Value::KindName(v.kind()), v.Print());
  const auto flag = [&](char c) { return spec.flags.find(c) != std::string::npos; };
  if (v.kind() == Value::Kind::kNil)
    return spec.verb == 'v' ? "<nil>" : fmt::format("%!{}(<nil>)", spec.verb);
  switch (spec.verb) {
    case 'v':
      return v.kind() == Value::Kind::kFloat ? FloatVerb(spec, v.AsFloat()) : v.Print();
    case 's': {
      if (v.kind() == Value::Kind::kInt || v.kind() == Value::Kind::kFloat ||
          v.kind() == Value::Kind::kBool)
        return bad;
      const std::string text = v.Print();
      return spec.precision >= 0 ? text.substr(0, static_cast<size_t>(spec.precision)) : text;
    }
    case 'd':
      if (v.kind() != Value::Kind::kInt) return bad;
      return (v.AsInt() < 0 ? ""
              : flag('+')   ? "+"
              : flag(' ')   ? " "
                            : "") +
             std::to_string(v.AsInt());
    case 'U':
      return v.kind() == Value::Kind::kInt ? fmt::format("U+{:04X}", v.AsInt()) : bad;
    case 'f':
    case 'F':
    case 'g':
    case 'e':
    case 'E':
    case 'G':
      return v.kind() == Value::Kind::kFloat ? FloatVerb(spec, v.AsFloat()) : bad;
    case 'q':
      return v.kind() == Value::Kind::kString ? Quote(v.AsString()) : bad;
    case 't':
      return v.kind() == Value::Kind::kBool ? v.Print() : bad;
    case 'x':
    case 'X':
      if (v.kind() == Value::Kind::kInt)
        return (flag('#') ? (spec.verb == 'x' ? "0x" : "0X") : "") +
               (spec.verb == 'x' ? fmt::format("{:x}", v.AsInt()) : fmt::format("{:X}", v.AsInt()));
      if (v.kind() == Value::Kind::kString) {
        std::string out;
        for (const char c : v.AsString())
          out += fmt::format("{:02x}", static_cast<unsigned char>(c));
        return out;
      }
      return bad;
    case 'c':
      return v.kind() == Value::Kind::kInt ? std::string(1, static_cast<char>(v.AsInt())) : bad;
    default:
      return bad;
  }
}

}  // namespace

Value Value::Bool(bool v) {
  Value out;
  out.kind_ = Kind::kBool;
  out.number_.i = v ? 1 : 0;
  return out;
}
Value Value::Int(int64_t v) {
  Value out;
  out.kind_ = Kind::kInt;
  out.number_.i = v;
  return out;
}
Value Value::Float(double v) {
  Value out;
  out.kind_ = Kind::kFloat;
  out.number_.f = v;
  return out;
}
Value Value::String(std::string v) {
  Value out;
  out.kind_ = Kind::kString;
  out.string_ = std::move(v);
  return out;
}
Value Value::Map(ValueMap v) {
  Value out;
  out.kind_ = Kind::kMap;
  out.map_ = std::make_shared<const ValueMap>(std::move(v));
  return out;
}
Value Value::Struct(const std::vector<std::pair<std::string, Value>>& fields) {
  Value out = Map(ValueMap(fields.begin(), fields.end()));
  out.kind_ = Kind::kStruct;
  ValueList order;
  for (const auto& [name, value] : fields) order.push_back(value);
  out.list_ = std::make_shared<const ValueList>(std::move(order));
  return out;
}
Value Value::List(ValueList v) {
  Value out;
  out.kind_ = Kind::kList;
  out.list_ = std::make_shared<const ValueList>(std::move(v));
  return out;
}
Value Value::Time(UnixNs v) {
  Value out = Int(v);
  out.kind_ = Kind::kTime;
  return out;
}
Value Value::DurationOf(Duration v) {
  Value out = Int(v.count());
  out.kind_ = Kind::kDuration;
  return out;
}

std::string_view Value::KindName(Kind kind) {
  switch (kind) {
    case Kind::kNil:
      return "nil";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float64";
    case Kind::kString:
      return "string";
    case Kind::kMap:
      return "map";
    case Kind::kStruct:
      return "struct";
    case Kind::kList:
      return "list";
    case Kind::kTime:
      return "time.Time";
    case Kind::kDuration:
      return "time.Duration";
  }
  return "?";
}

bool Value::Truth() const {
  switch (kind_) {
    case Kind::kNil:
      return false;
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kDuration:
      return number_.i != 0;
    case Kind::kFloat:
      return number_.f != 0;
    case Kind::kString:
      return !string_.empty();
    case Kind::kMap:
      return !map_->empty();
    case Kind::kList:
      return !list_->empty();
    case Kind::kTime:
    case Kind::kStruct:
      return true;
  }
  return false;
}

std::string Value::Print() const {
  switch (kind_) {
    case Kind::kNil:
      return "<no value>";
    case Kind::kBool:
      return number_.i != 0 ? "true" : "false";
    case Kind::kInt:
      return std::to_string(number_.i);
    case Kind::kFloat:
      return PrintFloat(number_.f);
    case Kind::kString:
      return string_;
    case Kind::kTime:
      return PrintTime(number_.i);
    case Kind::kDuration:
      return PrintDuration(Duration(number_.i));
    case Kind::kMap: {
      std::string out = "map[";
      for (const auto& [k, v] : *map_) out += (out.size() > 4 ? " " : "") + k + ":" + v.Print();
      return out + "]";
    }
    case Kind::kStruct: {
      std::string out = "{";
      for (const Value& v : *list_) out += (out.size() > 1 ? " " : "") + v.Print();
      return out + "}";
    }
    case Kind::kList: {
      std::string out = "[";
      for (const Value& v : *list_) out += (out.size() > 1 ? " " : "") + v.Print();
      return out + "]";
    }
  }
  return {};
}

Result<double> Value::ToNumber() const {
  switch (kind_) {
    case Kind::kFloat:
      return number_.f;
    case Kind::kInt:
      return static_cast<double>(number_.i);
    case Kind::kDuration:
      return static_cast<double>(number_.i) / 1e9;
    case Kind::kString: {
      double v = 0;
      const char* end = string_.data() + string_.size();
      auto [p, ec] = std::from_chars(string_.data(), end, v);
      if (ec == std::errc() && p == end && !string_.empty()) return v;
      if (string_ == "+Inf" || string_ == "Inf") return INFINITY;
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("strconv.ParseFloat: parsing {}: invalid syntax", Quote(string_)));
    }
    default:
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("can't convert {} to float", KindName(kind_)));
  }
}

std::string PrintFloat(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  const double a = std::fabs(v);
  char buffer[400];
  const bool fixed = a == 0 || (a >= 1e-4 && a < 1e6);
  auto r = std::to_chars(buffer, buffer + sizeof buffer, v,
                         fixed ? std::chars_format::fixed : std::chars_format::scientific);
  return std::string(buffer, r.ptr);
}

std::string PrintTime(UnixNs ns) {
  int64_t seconds = ns / 1'000'000'000;
  int64_t fraction = ns % 1'000'000'000;
  if (fraction < 0) fraction += 1'000'000'000, --seconds;
  const int64_t days = seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
  const int64_t rest = seconds - days * 86400;
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  std::string out =
      fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  rest / 3600, rest / 60 % 60, rest % 60);
  if (fraction != 0) out += "." + Digits(fraction, 9);
  return out + " +0000 UTC";
}

std::string PrintDuration(Duration d) {
  int64_t n = d.count();
  if (n == 0) return "0s";
  const std::string sign = n < 0 ? "-" : "";
  if (n < 0) n = -n;
  auto with = [&](int64_t unit, int width, const char* name) {
    const std::string fraction = Digits(n % unit, width);
    return sign + std::to_string(n / unit) + (fraction.empty() ? "" : "." + fraction) + name;
  };
  if (n < 1'000) return sign + std::to_string(n) + "ns";
  if (n < 1'000'000) return with(1'000, 3, "µs");
  if (n < 1'000'000'000) return with(1'000'000, 6, "ms");
  const int64_t total = n / 1'000'000'000;
  const std::string fraction = Digits(n % 1'000'000'000, 9);
  std::string out = sign;
  if (total >= 3600) out += std::to_string(total / 3600) + "h";
  if (total >= 60) out += std::to_string(total / 60 % 60) + "m";
  return out + std::to_string(total % 60) + (fraction.empty() ? "" : "." + fraction) + "s";
}

std::string Printf(std::string_view format, const std::vector<Value>& args) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    Spec spec;
    for (++i;
         i < format.size() && std::string_view("+-# 0").find(format[i]) != std::string_view::npos;
         ++i)
      spec.flags += format[i];
    auto number = [&](int& into) {
      for (; i < format.size() && format[i] >= '0' && format[i] <= '9'; ++i)
        into = std::min(10'000, std::max(into, 0) * 10 + (format[i] - '0'));
    };
    number(spec.width);
    if (i < format.size() && format[i] == '.') {
      ++i;
      spec.precision = 0;
      number(spec.precision);
      spec.precision = std::min(spec.precision, 100);
    }
    if (i >= format.size()) return out + "%!(NOVERB)";
    spec.verb = format[i];
    if (spec.verb == '%')
      out += '%';
    else if (next >= args.size())
      out += fmt::format("%!{}(MISSING)", spec.verb);
    else
      out += Pad(spec, Convert(spec, args[next++]));
  }
  if (next < args.size()) {
    out += "%!(EXTRA ";
    for (size_t i = next; i < args.size(); ++i)
      out += (i > next ? ", " : "") + std::string(Value::KindName(args[i].kind())) + "=" +
             args[i].Print();
    out += ")";
  }
  return out;
}

}  // namespace picket::rules::alerting::tmpl
