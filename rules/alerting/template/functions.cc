// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/template/functions.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <climits>
#include <clocale>
#include <cmath>
#include <cwchar>
#include <cwctype>
#include <functional>
#include <map>

#include "core/base/strings.h"
#include "core/base/units.h"
#include "rules/alerting/template/humanize.h"

namespace picket::rules::alerting::tmpl {
namespace {

using Args = std::vector<Value>;
using Kind = Value::Kind;

std::unexpected<Error> Wrong(std::string message) {
  return Fail(ErrorKind::kInvalidArgument, std::move(message));
}

std::string Text(const Value& v) { return v.Print(); }

std::string Joined(const Args& args) {
  std::string out;
  for (size_t i = 0; i < args.size(); ++i) {
    // fmt.Sprint puts a space between two operands when neither is a string.
    if (i > 0 && args[i].kind() != Kind::kString && args[i - 1].kind() != Kind::kString) out += ' ';
    out += Text(args[i]);
  }
  return out;
}

std::string UrlEscape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '_' || c == '.' || c == '~')
      out += c;
    else if (c == ' ')
      out += '+';
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string HtmlEscape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Go's expansion: $1, ${1}, $name; RE2 wants \1. Unknown groups become empty.
std::string Replacement(std::string_view go, const RE2& re) {
  std::string out;
  for (size_t i = 0; i < go.size(); ++i) {
    if (go[i] == '\\') {
      out += "\\\\";
      continue;
    }
    if (go[i] != '$' || i + 1 == go.size()) {
      out += go[i];
      continue;
    }
    if (go[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const bool braces = go[i + 1] == '{';
    size_t from = i + (braces ? 2 : 1), to = from;
    while (to < go.size() && (std::isalnum(static_cast<unsigned char>(go[to])) || go[to] == '_'))
      ++to;
    const std::string name(go.substr(from, to - from));
    if (name.empty() || (braces && (to >= go.size() || go[to] != '}'))) {
      out += '$';
      continue;
    }
    i = braces ? to : to - 1;
    int group = -1;
    if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
        name.size() < 3)
      group = std::stoi(name);
    else if (auto it = re.NamedCapturingGroups().find(name); it != re.NamedCapturingGroups().end())
      group = it->second;
    if (group >= 0 && group <= std::min(9, re.NumberOfCapturingGroups()))
      out += fmt::format("\\{}", group);
  }
  return out;
}

RE2::Options Quiet() {
  RE2::Options o;
  o.set_log_errors(false);
  return o;
}

Result<Value> ReReplaceAll(const Args& a) {
  const RE2 re(Text(a[0]), Quiet());
  if (!re.ok()) return Wrong("error parsing regexp: " + re.error());
  std::string text = Text(a[2]);
  RE2::GlobalReplace(&text, re, Replacement(Text(a[1]), re));
  return Value::String(std::move(text));
}

Result<Value> Match(const Args& a) {
  const RE2 re(Text(a[0]), Quiet());
  if (!re.ok()) return Wrong("error parsing regexp: " + re.error());
  return Value::Bool(RE2::PartialMatch(Text(a[1]), re));
}

std::string Title(std::string s) {
  bool start = true;
  for (char& c : s) {
    if (start && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    start = c == ' ' || c == '-' || c == '\t' || c == '\n';
  }
  return s;
}

// Letters of every script; bytes that are not UTF-8 stay.
std::string Cased(const std::string& s, bool upper) {
  static const locale_t unicode = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (unicode == nullptr) return s;
  const locale_t before = ::uselocale(unicode);
  std::string out;
  std::mbstate_t reading{}, writing{};
  for (size_t i = 0; i < s.size();) {
    wchar_t c = 0;
    const size_t n = std::mbrtowc(&c, s.data() + i, s.size() - i, &reading);
    if (n == 0 || n > s.size() - i) {
      out += s[i++];
      reading = {};
      continue;
    }
    char bytes[MB_LEN_MAX];
    const auto letter = static_cast<wchar_t>(upper ? std::towupper(static_cast<wint_t>(c))
                                                   : std::towlower(static_cast<wint_t>(c)));
    const size_t m = std::wcrtomb(bytes, letter, &writing);
    out.append(m > sizeof bytes ? s.data() + i : bytes, m > sizeof bytes ? n : m);
    i += n;
  }
  ::uselocale(before);
  return out;
}

// host:port -> host; what is no address stays as it is.
std::string StripPort(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return address;
  if (address.starts_with('[')) {
    const size_t close = address.find(']');
    return close == std::string::npos || close + 1 != colon ? address
                                                            : address.substr(1, close - 1);
  }
  return address.find(':') == colon ? address.substr(0, colon) : address;
}

std::string StripDomain(const std::string& address) {
  const std::string host = StripPort(address);
  const std::string rest = address.substr(address.size() - (address.size() - host.size()));
  const bool ip = RE2::FullMatch(host, R"(\d+(\.\d+){3})") || host.find(':') != std::string::npos;
  if (ip) return address;
  const size_t dot = host.find('.');
  return dot == std::string::npos ? address : host.substr(0, dot) + rest;
}

Result<Value> First(const Value& v) {
  if (v.kind() != Kind::kList) return Wrong("first: not a list");
  if (v.AsList().empty()) return Wrong("first() called on vector with no elements");
  return v.AsList().front();
}

// A member of a sample as the function `query` gives it.
Result<Value> Member(const Value& sample, const std::string& name) {
  if (!sample.HasFields())
    return Wrong(fmt::format("can't take {} of {}", name, Value::KindName(sample.kind())));
  auto it = sample.AsMap().find(name);
  return it == sample.AsMap().end() ? Value() : it->second;
}

Result<Value> Query(const Args& a, const TemplateContext& context) {
  if (!context.query) return Wrong("query is not available here");
  PICKET_ASSIGN(auto rows, context.query(Text(a[0])));
  ValueList out;
  for (auto& [labels, value] : rows)
    out.push_back(Value::Struct({{"Labels", LabelsValue(labels)}, {"Value", Value::Float(value)}}));
  return Value::List(std::move(out));
}

Result<Value> SortByLabel(const Args& a) {
  if (a[1].kind() != Kind::kList) return Wrong("sortByLabel: not a list");
  ValueList out = a[1].AsList();
  const std::string name = Text(a[0]);
  auto key = [&](const Value& sample) {
    const auto labels = Member(sample, "Labels");
    const auto value = labels ? Member(*labels, name) : Result<Value>(Value());
    return value && value->kind() == Kind::kString ? value->AsString() : std::string();
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const Value& x, const Value& y) { return key(x) < key(y); });
  return Value::List(std::move(out));
}

Result<Value> Index(const Args& a) {
  Value v = a[0];
  for (size_t i = 1; i < a.size(); ++i) {
    if (v.kind() == Kind::kMap) {
      auto it = v.AsMap().find(Text(a[i]));
      v = it == v.AsMap().end() ? Value::String("") : Value(it->second);
    } else if (v.kind() == Kind::kList) {
      if (a[i].kind() != Kind::kInt || a[i].AsInt() < 0 ||
          static_cast<size_t>(a[i].AsInt()) >= v.AsList().size())
        return Wrong(fmt::format("error calling index: index out of range: {}", Text(a[i])));
      v = Value(v.AsList()[static_cast<size_t>(a[i].AsInt())]);
    } else if (v.kind() == Kind::kString) {
      if (a[i].kind() != Kind::kInt || a[i].AsInt() < 0 ||
          static_cast<size_t>(a[i].AsInt()) >= v.AsString().size())
        return Wrong(fmt::format("error calling index: index out of range: {}", Text(a[i])));
      v = Value::Int(static_cast<unsigned char>(v.AsString()[static_cast<size_t>(a[i].AsInt())]));
    } else {
      return Wrong(fmt::format("can't index item of type {}", Value::KindName(v.kind())));
    }
  }
  return v;
}

Result<Value> Slice(const Args& a) {
  const bool text = a[0].kind() == Kind::kString;
  if (!text && a[0].kind() != Kind::kList)
    return Wrong("can't slice item of type " + std::string(Value::KindName(a[0].kind())));
  const auto size = static_cast<int64_t>(text ? a[0].AsString().size() : a[0].AsList().size());
  const int64_t from = a.size() > 1 ? a[1].AsInt() : 0;
  const int64_t to = a.size() > 2 ? a[2].AsInt() : size;
  if (from < 0 || to > size || from > to) return Wrong("error calling slice: index out of range");
  if (text)
    return Value::String(
        a[0].AsString().substr(static_cast<size_t>(from), static_cast<size_t>(to - from)));
  const auto& list = a[0].AsList();
  return Value::List(ValueList(list.begin() + from, list.begin() + to));
}

Result<Value> Len(const Args& a) {
  switch (a[0].kind()) {
    case Kind::kString:
      return Value::Int(static_cast<int64_t>(a[0].AsString().size()));
    case Kind::kMap:
      return Value::Int(static_cast<int64_t>(a[0].AsMap().size()));
    case Kind::kList:
      return Value::Int(static_cast<int64_t>(a[0].AsList().size()));
    default:
      return Wrong(fmt::format("error calling len: len of type {}", Value::KindName(a[0].kind())));
  }
}

// -1, 0, 1, or an error for kinds that do not compare. Go compares only values of one basic kind.
Result<int> Compare(const Value& x, const Value& y) {
  if (x.kind() != y.kind()) return Wrong("incompatible types for comparison");
  switch (x.kind()) {
    case Kind::kString:
      return x.AsString() < y.AsString() ? -1 : x.AsString() > y.AsString() ? 1 : 0;
    case Kind::kFloat:
      return x.AsFloat() < y.AsFloat() ? -1 : x.AsFloat() > y.AsFloat() ? 1 : 0;
    case Kind::kInt:
    case Kind::kBool:
    case Kind::kTime:
    case Kind::kDuration:
      return x.AsInt() < y.AsInt() ? -1 : x.AsInt() > y.AsInt() ? 1 : 0;
    case Kind::kNil:
      return 0;
    default:
      return Wrong("invalid type for comparison");
  }
}

Result<Value> Equal(const Args& a, bool negate) {
  for (size_t i = 1; i < a.size(); ++i) {
    PICKET_ASSIGN(const int c, Compare(a[0], a[i]));
    const bool nan =
        a[0].kind() == Kind::kFloat && (std::isnan(a[0].AsFloat()) || std::isnan(a[i].AsFloat()));
    if ((c == 0 && !nan)) return Value::Bool(!negate);
  }
  return Value::Bool(negate);
}

template <class F>
auto Ordered(F accept) {
  return [accept](const Args& a) -> Result<Value> {
    PICKET_ASSIGN(const int c, Compare(a[0], a[1]));
    return Value::Bool(accept(c));
  };
}

template <class F>
auto Number(F f) {
  return [f](const Args& a) -> Result<Value> {
    PICKET_ASSIGN(const double v, a[0].ToNumber());
    return f(v);
  };
}
auto Humanizer(std::string (*f)(double)) {
  return Number([f](double v) -> Result<Value> { return Value::String(f(v)); });
}
auto OnText(std::function<std::string(const std::string&)> f) {
  return
      [f = std::move(f)](const Args& a) -> Result<Value> { return Value::String(f(Text(a[0]))); };
}

struct Function {
  size_t least;
  size_t most;
  std::function<Result<Value>(const Args&)> call;
};
constexpr size_t kMany = 100;

std::string Link(const Args& a, std::string_view tab) {
  return fmt::format("/graph?g0.expr={}&g0.tab={}", UrlEscape(Text(a[0])), tab);
}

const std::map<std::string, Function>& Table() {
  static const std::map<std::string, Function> table = {
      {"not", {1, 1, [](const Args& a) -> Result<Value> { return Value::Bool(!a[0].Truth()); }}},
      {"len", {1, 1, Len}},
      {"index", {1, kMany, Index}},
      {"slice", {1, 4, Slice}},
      {"print",
       {0, kMany, [](const Args& a) -> Result<Value> { return Value::String(Joined(a)); }}},
      {"println",
       {0, kMany,
        [](const Args& a) -> Result<Value> {
          std::string out;
          for (const Value& v : a) out += (out.empty() ? "" : " ") + Text(v);
          return Value::String(out + "\n");
        }}},
      {"printf",
       {1, kMany,
        [](const Args& a) -> Result<Value> {
          return Value::String(Printf(Text(a[0]), Args(a.begin() + 1, a.end())));
        }}},
      {"html",
       {1, kMany,
        [](const Args& a) -> Result<Value> { return Value::String(HtmlEscape(Joined(a))); }}},
      {"js",
       {1, kMany,
        [](const Args& a) -> Result<Value> {
          std::string quoted = JsonQuote(Joined(a));
          return Value::String(quoted.substr(1, quoted.size() - 2));
        }}},
      {"urlquery",
       {1, kMany,
        [](const Args& a) -> Result<Value> { return Value::String(UrlEscape(Joined(a))); }}},
      {"eq", {2, kMany, [](const Args& a) { return Equal(a, false); }}},
      {"ne", {2, 2, [](const Args& a) { return Equal(a, true); }}},
      {"lt", {2, 2, Ordered([](int c) { return c < 0; })}},
      {"le", {2, 2, Ordered([](int c) { return c <= 0; })}},
      {"gt", {2, 2, Ordered([](int c) { return c > 0; })}},
      {"ge", {2, 2, Ordered([](int c) { return c >= 0; })}},
      {"first", {1, 1, [](const Args& a) { return First(a[0]); }}},
      {"label",
       {2, 2,
        [](const Args& a) -> Result<Value> {
          PICKET_ASSIGN(const Value labels, Member(a[1], "Labels"));
          PICKET_ASSIGN(const Value v, Member(labels, Text(a[0])));
          return v.kind() == Kind::kNil ? Value::String("") : v;
        }}},
      {"value", {1, 1, [](const Args& a) { return Member(a[0], "Value"); }}},
      {"strvalue",
       {1, 1,
        [](const Args& a) -> Result<Value> {
          PICKET_ASSIGN(const Value labels, Member(a[0], "Labels"));
          PICKET_ASSIGN(const Value v, Member(labels, "__value__"));
          return v.kind() == Kind::kNil ? Value::String("") : v;
        }}},
      {"sortByLabel", {2, 2, SortByLabel}},
      {"args",
       {0, kMany,
        [](const Args& a) -> Result<Value> {
          ValueMap out;
          for (size_t i = 0; i < a.size(); ++i) out[fmt::format("arg{}", i)] = a[i];
          return Value::Map(std::move(out));
        }}},
      {"reReplaceAll", {3, 3, ReReplaceAll}},
      {"match", {2, 2, Match}},
      {"title", {1, 1, OnText(Title)}},
      {"toUpper", {1, 1, OnText([](const std::string& s) { return Cased(s, true); })}},
      {"toLower", {1, 1, OnText([](const std::string& s) { return Cased(s, false); })}},
      {"stripPort", {1, 1, OnText(StripPort)}},
      {"stripDomain", {1, 1, OnText(StripDomain)}},
      {"safeHtml", {1, 1, OnText([](const std::string& s) { return s; })}},
      {"urlQueryEscape", {1, 1, OnText([](const std::string& s) { return UrlEscape(s); })}},
      {"humanize", {1, 1, Humanizer(Humanize)}},
      {"humanize1024", {1, 1, Humanizer(Humanize1024)}},
      {"humanizeDuration", {1, 1, Humanizer(HumanizeDuration)}},
      {"humanizePercentage", {1, 1, Humanizer(HumanizePercentage)}},
      {"humanizeTimestamp", {1, 1, Humanizer(HumanizeTimestamp)}},
      {"toTime", {1, 1, Number([](double v) -> Result<Value> {
                    if (!std::isfinite(v) || std::fabs(v) > 9.2e9)
                      return Wrong("toTime: out of range");
                    return Value::Time(static_cast<UnixNs>(std::llround(v * 1000)) * 1'000'000);
                  })}},
      {"toDuration", {1, 1, Number([](double v) -> Result<Value> {
                        if (!std::isfinite(v) || std::fabs(v) > 9.2e9)
                          return Wrong("toDuration: out of range");
                        return Value::DurationOf(Duration(static_cast<int64_t>(v * 1e9)));
                      })}},
      {"parseDuration",
       {1, 1,
        [](const Args& a) -> Result<Value> {
          PICKET_ASSIGN(const Milliseconds d, ParseDuration(Text(a[0])));
          return Value::Float(static_cast<double>(d.count()) / 1000);
        }}},
      {"graphLink",
       {1, 1, [](const Args& a) -> Result<Value> { return Value::String(Link(a, "0")); }}},
      {"tableLink",
       {1, 1, [](const Args& a) -> Result<Value> { return Value::String(Link(a, "1")); }}},
  };
  return table;
}

std::string PathOf(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t slash = url.find('/', scheme == std::string::npos ? 0 : scheme + 3);
  return slash == std::string::npos ? "" : url.substr(slash);
}

}  // namespace

const std::vector<std::string>& FunctionNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out = {"and", "or",          "tmpl",       "query",
                                    "now", "externalURL", "pathPrefix", "call"};
    for (const auto& [name, f] : Table()) out.push_back(name);
    return out;
  }();
  return names;
}

Value LabelsValue(const Labels& labels) {
  ValueMap map;
  for (const auto& [n, v] : labels) map[std::string(n)] = Value::String(std::string(v));
  return Value::Map(std::move(map));
}

Result<Value> CallFunction(const std::string& name, const Args& args,
                           const TemplateContext& context) {
  if (name == "query")
    return args.size() == 1 ? Query(args, context) : Wrong("query wants one expression");
  if (name == "now") return Value::Float(static_cast<double>(context.now_ms) / 1000);
  if (name == "externalURL") return Value::String(context.external_url);
  if (name == "pathPrefix") return Value::String(PathOf(context.external_url));
  auto it = Table().find(name);
  if (it == Table().end()) return Wrong(fmt::format("function \"{}\" cannot be called here", name));
  const Function& f = it->second;
  if (args.size() < f.least || args.size() > f.most)
    return Wrong(fmt::format("wrong number of args for {}: want {}{} got {}", name,
                             f.most == kMany ? "at least " : "", f.least, args.size()));
  auto result = f.call(args);
  if (!result) return Wrong(fmt::format("error calling {}: {}", name, result.error().message()));
  return result;
}

}  // namespace picket::rules::alerting::tmpl
