// SPDX-License-Identifier: Apache-2.0
#include "core/config/env.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace picket::config {

Env ProcessEnv() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

namespace internal {
namespace {

/// Length of a leading [A-Za-z_][A-Za-z0-9_]*.
size_t NameLength(std::string_view s) {
  if (s.empty() || std::isdigit(static_cast<unsigned char>(s[0]))) return 0;
  size_t n = 0;
  while (n < s.size() && (std::isalnum(static_cast<unsigned char>(s[n])) || s[n] == '_')) ++n;
  return n;
}

std::string ReplaceAll(std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i).starts_with(what)) {
      out += with;
      i += what.size();
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace

std::string ExpandEnv(std::string_view text, const Env& env, std::vector<std::string>& missing) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("$${")) {
      out += "${";
      i += 3;
      continue;
    }
    if (rest.starts_with("${")) {
      const size_t n = NameLength(rest.substr(2));
      const std::string name(rest.substr(2, n));
      const std::string_view after = rest.substr(2 + n);
      const size_t close = after.find('}');
      const bool has_default = after.starts_with(":-");
      if (n > 0 && close != std::string_view::npos && (close == 0 || has_default)) {
        if (auto value = env(name); value && (!value->empty() || !has_default))
          out += *value;
        else if (has_default)
          out += after.substr(2, close - 2);
        else
          missing.push_back(name);
        i += 2 + n + close + 1;
        continue;
      }
    }
    out += text[i++];
  }
  return out;
}

std::string EscapeEnv(std::string_view text) { return ReplaceAll(text, "${", "$${"); }

std::string ExpandLikeExternalLabels(std::string_view text, const Env& env) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i++];
      continue;
    }
    const std::string_view rest = text.substr(i + 1);
    if (rest[0] == '$') {
      out += '$';
      i += 2;
    } else if (rest[0] == '{') {
      const size_t close = rest.find('}');
      if (close == std::string_view::npos) {
        i += 2;  // a brace that never closes is swallowed, as there
        continue;
      }
      out += env(std::string(rest.substr(1, close - 1))).value_or("");
      i += close + 2;
    } else if (const size_t n = NameLength(rest); n > 0) {
      out += env(std::string(rest.substr(0, n))).value_or("");
      i += n + 1;
    } else {
      out += text[i++];
    }
  }
  return out;
}

std::string EscapeLikeExternalLabels(std::string_view text) { return ReplaceAll(text, "$", "$$"); }

Result<Bytes> ParseBinaryBytes(std::string_view text) {
  double number = 0;
  auto [end, ec] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  static constexpr std::string_view kLetters = "KMGTPE";
  auto bad = [&] {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("\"{}\" is not a size: expected a number with a unit like 15MB", text));
  };
  if (ec != std::errc() || number < 0) return bad();
  int power = 0;
  if (!unit.empty() && unit != "B") {
    const size_t i = kLetters.find(unit[0]);
    if (i == std::string_view::npos) return bad();
    unit.remove_prefix(1);
    if (unit != "B" && unit != "iB" && !unit.empty()) return bad();
    power = static_cast<int>(i + 1) * 10;
  }
  const double bytes = std::ldexp(number, power);
  if (bytes >= 9.2e18) return bad();
  return Bytes(static_cast<uint64_t>(bytes));
}

}  // namespace internal
}  // namespace picket::config
