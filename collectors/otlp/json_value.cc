// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/json_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace picket::collectors::otlp::json {
namespace {

template <class T>
std::optional<T> Parse(std::string_view text) {
  T value{};
  const auto r = std::from_chars(text.data(), text.data() + text.size(), value);
  if (r.ec != std::errc{} || r.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

}  // namespace

std::optional<element> Member(const simdjson::dom::object& object, const char* key) {
  element value;
  if (object.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

std::optional<uint64_t> AsUint64(element value) {
  uint64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  if (auto text = AsString(value)) return Parse<uint64_t>(*text);
  // 1e9 and 5.0 are integers in JSON's eyes.
  double real = 0;
  if (value.get(real) == simdjson::SUCCESS && real >= 0 && real < 18446744073709551616.0 &&
      real == static_cast<double>(static_cast<uint64_t>(real)))
    return static_cast<uint64_t>(real);
  return std::nullopt;
}

std::optional<int64_t> AsInt64(element value) {
  int64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  if (auto text = AsString(value)) return Parse<int64_t>(*text);
  double real = 0;
  if (value.get(real) == simdjson::SUCCESS && real >= -9223372036854775808.0 &&
      real < 9223372036854775808.0 && real == static_cast<double>(static_cast<int64_t>(real)))
    return static_cast<int64_t>(real);
  return std::nullopt;
}

std::optional<double> AsDouble(element value) {
  double number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  const auto text = AsString(value);
  if (!text) return std::nullopt;
  if (*text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (*text == "Infinity") return std::numeric_limits<double>::infinity();
  if (*text == "-Infinity") return -std::numeric_limits<double>::infinity();
  return Parse<double>(*text);
}

std::optional<std::string_view> AsString(element value) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

std::optional<bool> AsBool(element value) {
  bool flag = false;
  if (value.get(flag) != simdjson::SUCCESS) return std::nullopt;
  return flag;
}

std::optional<uint64_t> AsEnum(element value, std::span<const std::string_view> names) {
  if (const auto text = AsString(value)) {
    const auto it = std::find_if(names.begin(), names.end(), [&](std::string_view name) {
      return name == *text ||
             (name.ends_with(*text) && name[name.size() - text->size() - 1] == '_');
    });
    if (it == names.end() || text->empty()) return std::nullopt;
    return static_cast<uint64_t>(it - names.begin());
  }
  const auto number = AsUint64(value);
  if (!number || *number > INT32_MAX) return std::nullopt;
  return number;
}

std::optional<std::string> FromHex(std::string_view text) {
  if (text.size() % 2) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

std::optional<std::string> FromBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    const int digit = Base64Digit(c);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held));
  }
  return out;
}

}  // namespace picket::collectors::otlp::json
