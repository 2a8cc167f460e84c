// SPDX-License-Identifier: Apache-2.0
#include "exporters/loki/answer.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace picket::exporters::loki {
namespace {

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The number that ends right before `at`.
std::optional<uint64_t> NumberBefore(std::string_view text, size_t at) {
  size_t from = at;
  while (from > 0 && text[from - 1] >= '0' && text[from - 1] <= '9') --from;
  uint64_t n = 0;
  if (std::from_chars(text.data() + from, text.data() + at, n).ec != std::errc()) return {};
  return n;
}

// How many entries the message speaks of: "3 errors like: ..." of the distributor and
// "total ignored: 2 out of 5" of the ingester. Messages about one entry carry no number.
uint64_t CountRefused(std::string_view body, uint64_t lines) {
  uint64_t n = 0;
  for (size_t at = 0; (at = body.find(" errors like: ", at)) != std::string_view::npos; ++at)
    n += NumberBefore(body, at).value_or(0);
  constexpr std::string_view kIgnored = "total ignored: ";
  for (size_t at = 0; (at = body.find(kIgnored, at)) != std::string_view::npos;) {
    at += kIgnored.size();
    size_t end = at;
    while (end < body.size() && body[end] >= '0' && body[end] <= '9') ++end;
    n += NumberBefore(body, end).value_or(0);
  }
  if (n == 0)
    for (const std::string_view single : {"has timestamp too old", "has timestamp too new",
                                          "max entry size", "structured metadata"})
      if (Has(body, single)) n = 1;
  // A message that gives no number may speak of any of them.
  return n == 0 || n > lines ? lines : n;
}

DropReason ReasonOf(std::string_view body) {
  if (Has(body, "too old") || Has(body, "too far behind") || Has(body, "too_far_behind"))
    return DropReason::kTooOld;
  if (Has(body, "max entry size")) return DropReason::kTooLarge;
  if (Has(body, "label names; limit") || Has(body, "label name too long") ||
      Has(body, "label value too long") || Has(body, "structured metadata"))
    return DropReason::kLimit;
  if (Has(body, "out of order")) return DropReason::kOutOfOrder;
  return DropReason::kRejected;
}

std::string StreamIn(std::string_view body) {
  for (const std::string_view before : {"for stream '{", "create stream {"}) {
    const size_t at = body.find(before);
    if (at == std::string_view::npos) continue;
    const size_t from = at + before.size() - 1;
    // Labels end at the brace behind the last quotation mark.
    const size_t end = body.find("\"}", from);
    if (end != std::string_view::npos) return std::string(body.substr(from, end + 2 - from));
  }
  return {};
}

}  // namespace

Answer ReadAnswer(int status, std::string_view body, uint64_t lines) {
  Answer a;
  switch (status) {
    case 200:
    case 204:
      a.verdict = Verdict::kDelivered;
      return a;
    case 413:
      a.verdict = Verdict::kSplit;
      return a;
    case 429:
      a.verdict = Has(body, "er stream rate limit") || Has(body, "active stream limit")
                      ? Verdict::kSlowStream
                      : Verdict::kSlowTenant;
      if (a.verdict == Verdict::kSlowStream) a.stream = StreamIn(body);
      return a;
    case 401:
    case 402:
    case 403:
    case 404:
    case 405:
    case 407:
    case 408:
    case 425:
    case 426:
      return a;
    default:
      break;
  }
  if (status < 400 || status >= 500) return a;
  a.verdict = Verdict::kPartial;
  a.lost = status == 400 ? CountRefused(body, lines) : lines;
  a.reason = ReasonOf(body);
  if (a.reason == DropReason::kRejected && a.lost < lines) a.reason = DropReason::kPartial;
  return a;
}

}  // namespace picket::exporters::loki
