// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/strings.h"

namespace picket::agent {

/// Writes one JSON value after the other; keeps track of commas.
class Json {
 public:
  Json& Open(char c) { return Comma(), out_ += c, first_ = true, *this; }
  Json& Close(char c) { return out_ += c, first_ = false, *this; }
  Json& Key(std::string_view k) {
    Comma();
    AppendJsonQuoted(out_, k);
    out_ += ':';
    first_ = true;
    return *this;
  }
  Json& Raw(std::string_view v) { return Comma(), out_ += v, *this; }
  Json& Value(std::string_view v) { return Comma(), AppendJsonQuoted(out_, v), *this; }
  Json& Value(const std::string& v) { return Value(std::string_view(v)); }
  Json& Value(const char* v) { return Value(std::string_view(v)); }
  Json& Value(bool v) { return Raw(v ? "true" : "false"); }
  Json& Value(double v) { return Raw(std::isfinite(v) ? FormatFloat(v) : "null"); }
  template <class T>
    requires std::is_integral_v<T>
  Json& Value(T v) {
    return Raw(std::to_string(v));
  }
  template <class T>
  Json& Field(std::string_view k, const T& v) {
    return Key(k).Value(v);
  }
  std::string Take() { return std::move(out_); }

 private:
  void Comma() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  std::string out_;
  bool first_ = true;
};

}  // namespace picket::agent
