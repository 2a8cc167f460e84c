// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace picket {

/// Lets unordered containers of strings be asked with a string_view.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};

/// Number of single-character edits (insert, delete, replace, swap of neighbours). Cost: O(a*b).
int EditDistance(std::string_view a, std::string_view b);

/// The candidate nearest to `word` within `max_distance` edits, or empty.
std::string NearestName(std::string_view word, std::span<const std::string> candidates,
                        int max_distance = 2);

std::vector<std::string_view> Split(std::string_view text, char separator);
std::string_view Trim(std::string_view text);
/// "\"" and control characters as JSON wants them, with the quotes. Invalid UTF-8 becomes U+FFFD.
std::string JsonQuote(std::string_view text);
void AppendJsonQuoted(std::string& out, std::string_view text);
/// Shortest decimal that reads back as the same double, as Prometheus prints it in JSON ("+Inf",
/// "NaN", 1e+21).
std::string FormatFloat(double value);
bool IsValidUtf8(std::string_view text);

}  // namespace picket
