// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace picket::net {

struct HttpField {
  std::string name;
  std::string value;
};

/// Header fields in their order. Names compare without case.
class HttpHeaders {
 public:
  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<HttpField> fields) : fields_(fields) {}

  /// The first value of the name, or empty.
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  void Add(std::string name, std::string value) {
    fields_.push_back({std::move(name), std::move(value)});
  }
  /// Replaces every value of the name.
  void Set(std::string name, std::string value);
  void Remove(std::string_view name);

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  void reserve(size_t n) { fields_.reserve(n); }

 private:
  std::vector<HttpField> fields_;
};

bool EqualsNoCase(std::string_view a, std::string_view b);
/// Whether a comma-separated list ("gzip, br;q=0") names the token with a weight above 0.
bool ListHas(std::string_view list, std::string_view token);
/// A field name: RFC 9110 token.
bool IsToken(std::string_view text);
/// No control characters: safe to write as a field value.
bool IsFieldValue(std::string_view text);
/// "Not Found" for 404; "" if unknown.
std::string_view StatusText(int status);

}  // namespace picket::net
