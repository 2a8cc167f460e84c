// SPDX-License-Identifier: Apache-2.0
#include "core/net/http_headers.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>

#include "core/base/strings.h"

namespace picket::net {
namespace {

char LowerChar(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

bool EqualsNoCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return LowerChar(x) == LowerChar(y);
         });
}

std::string_view HttpHeaders::Get(std::string_view name) const {
  for (const HttpField& f : fields_)
    if (EqualsNoCase(f.name, name)) return f.value;
  return {};
}

bool HttpHeaders::Has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const HttpField& f) { return EqualsNoCase(f.name, name); });
}

void HttpHeaders::Remove(std::string_view name) {
  std::erase_if(fields_, [&](const HttpField& f) { return EqualsNoCase(f.name, name); });
}

void HttpHeaders::Set(std::string name, std::string value) {
  Remove(name);
  Add(std::move(name), std::move(value));
}

bool ListHas(std::string_view list, std::string_view token) {
  for (std::string_view item : Split(list, ',')) {
    const size_t semicolon = item.find(';');
    if (!EqualsNoCase(Trim(item.substr(0, semicolon)), token)) continue;
    if (semicolon == std::string_view::npos) return true;
    const std::string_view weight = Trim(item.substr(semicolon + 1));
    // q=0, q=0., q=0.000: not wanted.
    if (!weight.starts_with("q=") && !weight.starts_with("Q=")) return true;
    return weight.substr(2).find_first_not_of("0.") != std::string_view::npos;
  }
  return false;
}

bool IsToken(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

bool IsFieldValue(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

std::string_view StatusText(int status) {
  const auto known = boost::beast::http::int_to_status(static_cast<unsigned>(status));
  if (known == boost::beast::http::status::unknown) return {};
  const auto text = boost::beast::http::obsolete_reason(known);
  return {text.data(), text.size()};
}

}  // namespace picket::net
