// SPDX-License-Identifier: Apache-2.0
#include "rules/canary/counts.h"

#include <algorithm>
#include <tuple>

#include "core/base/hash.h"

namespace picket::rules::canary {

SideReader::SideReader(std::vector<Matcher> requests, std::vector<Matcher> errors, bool canary)
    : reader_({std::move(requests), std::move(errors)}), canary_(canary) {}

Status SideReader::Read(const Querier& querier, UnixMs from_ms, UnixMs until_ms,
                        std::vector<Cell>& cells) {
  auto on = [&](size_t selector, const Labels& labels, UnixMs t, double increment) {
    const uint64_t target = Hash64(labels.Get("job"), Hash64(labels.Get("instance")));
    const bool errors = selector == 1;
    cells.push_back({t, target, canary_, errors ? 0 : increment, errors ? increment : 0});
    if (!label_.empty() && t > label_ms_) {
      label_ms_ = t;
      last_label_ = labels.Get(label_);
    }
  };
  return reader_.Read(querier, from_ms, until_ms, on);
}

void MergeCells(std::vector<Cell>& cells) {
  auto key = [](const Cell& c) { return std::tuple(c.timestamp_ms, c.canary, c.target); };
  std::sort(cells.begin(), cells.end(),
            [&](const Cell& a, const Cell& b) { return key(a) < key(b); });
  size_t out = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (out > 0 && key(cells[out - 1]) == key(cells[i])) {
      cells[out - 1].requests += cells[i].requests;
      cells[out - 1].errors += cells[i].errors;
    } else {
      cells[out++] = cells[i];
    }
  }
  cells.resize(out);
  // A selector for errors that is no subset of the requests must not yield more errors than
  // requests.
  for (Cell& c : cells) c.errors = std::min(c.errors, c.requests);
}

}  // namespace picket::rules::canary
