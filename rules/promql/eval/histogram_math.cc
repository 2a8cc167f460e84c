// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/histogram_math.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "rules/promql/eval/histogram.h"
#include "rules/promql/eval/sums.h"

namespace picket::rules::promql {

using Hint = HistogramValue::ResetHint;

SparseBuckets ToSparse(const std::vector<HistogramValue::Span>& spans,
                       const std::vector<double>& counts) {
  SparseBuckets out;
  out.reserve(counts.size());
  internal::ForEachIndex(spans, counts,
                         [&](int32_t index, double count) { out.emplace_back(index, count); });
  return out;
}

void FromSparse(const SparseBuckets& sparse, std::vector<HistogramValue::Span>& spans,
                std::vector<double>& counts) {
  spans.clear();
  counts.clear();
  int32_t next = 0;
  for (const auto& [index, count] : sparse) {
    if (spans.empty() || index != next) {
      spans.push_back({spans.empty() ? index : index - next, 0});
    }
    ++spans.back().length;
    counts.push_back(count);
    next = index + 1;
  }
}

namespace {

/// Both sides of a histogram in sparse form, written back at the end.
struct Unpacked {
  HistogramValue& h;
  SparseBuckets positive;
  SparseBuckets negative;
  explicit Unpacked(HistogramValue& histogram)
      : h(histogram),
        positive(ToSparse(h.positive_spans, h.positive_buckets)),
        negative(ToSparse(h.negative_spans, h.negative_buckets)) {}
  void Pack() {
    FromSparse(positive, h.positive_spans, h.positive_buckets);
    FromSparse(negative, h.negative_spans, h.negative_buckets);
  }
};

/// a += sign * b, both ascending.
SparseBuckets Merge(const SparseBuckets& a, const SparseBuckets& b, double sign) {
  SparseBuckets out;
  out.reserve(a.size() + b.size());
  size_t i = 0;
  size_t k = 0;
  while (i < a.size() || k < b.size()) {
    if (k == b.size() || (i < a.size() && a[i].first < b[k].first)) {
      out.push_back(a[i++]);
    } else if (i == a.size() || b[k].first < a[i].first) {
      out.emplace_back(b[k].first, sign * b[k].second);
      ++k;
    } else {
      out.emplace_back(a[i].first, a[i].second + sign * b[k].second);
      ++i;
      ++k;
    }
  }
  return out;
}

/// Index of the bucket at a schema coarser by `shift` that holds bucket `index`.
int32_t CoarserIndex(int32_t index, int32_t shift) {
  // Upper bounds are inclusive, so indexes round up.
  return ((index - 1) >> shift) + 1;
}

SparseBuckets Coarsen(const SparseBuckets& in, int32_t shift) {
  SparseBuckets out;
  for (const auto& [index, count] : in) {
    const int32_t target = CoarserIndex(index, shift);
    if (!out.empty() && out.back().first == target) {
      out.back().second += count;
    } else {
      out.emplace_back(target, count);
    }
  }
  return out;
}

/// Widens the zero bucket to `threshold`; when that lies inside a populated bucket, to the end of
/// it.
void WidenZeroBucket(HistogramValue& h, double threshold) {
  if (threshold <= h.zero_threshold) return;
  Unpacked u(h);
  double reached = threshold;
  for (SparseBuckets* side : {&u.positive, &u.negative}) {
    SparseBuckets kept;
    for (const auto& bucket : *side) {
      const double lower = BucketBound(h, bucket.first - 1);
      if (lower < threshold) {
        h.zero_count += bucket.second;
        if (bucket.second != 0) reached = std::max(reached, BucketBound(h, bucket.first));
      } else {
        kept.push_back(bucket);
      }
    }
    *side = std::move(kept);
  }
  u.Pack();
  if (reached > threshold) {
    h.zero_threshold = threshold;
    WidenZeroBucket(h, reached);
    return;
  }
  h.zero_threshold = threshold;
}

void ReconcileZeroBuckets(HistogramValue& a, HistogramValue& b) {
  while (a.zero_threshold != b.zero_threshold) {
    if (a.zero_threshold < b.zero_threshold) {
      WidenZeroBucket(a, b.zero_threshold);
    } else {
      WidenZeroBucket(b, a.zero_threshold);
    }
  }
}

/// The histogram over those of its bounds that are in `bounds`, a subset of them.
void ToCustomBounds(HistogramValue& h, const std::vector<double>& bounds) {
  const SparseBuckets old = ToSparse(h.positive_spans, h.positive_buckets);
  std::vector<double> counts(bounds.size() + 1, 0);
  for (const auto& [index, count] : old) {
    const double upper = BucketBound(h, index);
    const auto at = std::lower_bound(bounds.begin(), bounds.end(), upper);
    counts[static_cast<size_t>(at - bounds.begin())] += count;
  }
  SparseBuckets sparse;
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] != 0) sparse.emplace_back(static_cast<int32_t>(i), counts[i]);
  FromSparse(sparse, h.positive_spans, h.positive_buckets);
  h.custom_values = bounds;
}

bool ReconcileCustom(HistogramValue& a, HistogramValue& b) {
  if (a.custom_values == b.custom_values) return false;
  std::vector<double> common;
  std::set_intersection(a.custom_values.begin(), a.custom_values.end(), b.custom_values.begin(),
                        b.custom_values.end(), std::back_inserter(common));
  ToCustomBounds(a, common);
  ToCustomBounds(b, common);
  return true;
}

/// Brings both to the same layout. Pre: both exponential or both custom. Returns whether custom
/// bounds differed.
bool Reconcile(HistogramValue& a, HistogramValue& b) {
  if (a.custom()) return ReconcileCustom(a, b);
  ReconcileZeroBuckets(a, b);
  const int32_t schema = std::min(a.schema, b.schema);
  ReduceResolution(a, schema);
  ReduceResolution(b, schema);
  return false;
}

template <class F>
void ForEachNumber(HistogramValue& h, F&& f) {
  f(h.zero_count);
  f(h.count);
  f(h.sum);
  for (double& v : h.positive_buckets) f(v);
  for (double& v : h.negative_buckets) f(v);
}

/// Whether any bucket has a lower count than before. Buckets that are not there count 0.
bool AnyFell(const SparseBuckets& before, const SparseBuckets& now) {
  size_t k = 0;
  for (const auto& [index, count] : before) {
    while (k < now.size() && now[k].first < index) ++k;
    const double current = k < now.size() && now[k].first == index ? now[k].second : 0;
    if (current < count) return true;
  }
  return false;
}

}  // namespace

void ReduceResolution(HistogramValue& h, int32_t schema) {
  if (schema >= h.schema) return;
  Unpacked u(h);
  const int32_t shift = h.schema - schema;
  u.positive = Coarsen(u.positive, shift);
  u.negative = Coarsen(u.negative, shift);
  h.schema = schema;
  u.Pack();
}

bool MergeHints(HistogramValue& a, const HistogramValue& b) {
  if (a.hint == b.hint || a.hint == Hint::kGauge) return false;
  if (b.hint == Hint::kGauge) {
    a.hint = Hint::kGauge;
    return false;
  }
  const bool collide = a.hint != Hint::kUnknown && b.hint != Hint::kUnknown;
  a.hint = Hint::kUnknown;
  return collide;
}

CombineReport Combine(HistogramValue& a, const HistogramValue& b, double sign) {
  CombineReport report;
  if (a.custom() != b.custom()) {
    report.compatible = false;
    return report;
  }
  report.hints_collide = MergeHints(a, b);
  HistogramValue other = b;
  report.bounds_reconciled = Reconcile(a, other);
  a.zero_count += sign * other.zero_count;
  a.count += sign * other.count;
  a.sum += sign * other.sum;
  Unpacked u(a);
  u.positive = Merge(u.positive, ToSparse(other.positive_spans, other.positive_buckets), sign);
  u.negative = Merge(u.negative, ToSparse(other.negative_spans, other.negative_buckets), sign);
  u.Pack();
  return report;
}

namespace {

/// Adds b to compensated sums a + lost, index by index.
void MergeCompensated(SparseBuckets& a, SparseBuckets& lost, const SparseBuckets& b) {
  SparseBuckets sums;
  SparseBuckets losses;
  size_t i = 0;
  size_t j = 0;
  size_t k = 0;
  constexpr int32_t kEnd = std::numeric_limits<int32_t>::max();
  for (;;) {
    const int32_t index =
        std::min({i < a.size() ? a[i].first : kEnd, j < lost.size() ? lost[j].first : kEnd,
                  k < b.size() ? b[k].first : kEnd});
    if (index == kEnd) break;
    CompensatedSum sum;
    if (i < a.size() && a[i].first == index) sum.sum = a[i++].second;
    if (j < lost.size() && lost[j].first == index) sum.lost = lost[j++].second;
    if (k < b.size() && b[k].first == index) sum.Add(b[k++].second);
    sums.emplace_back(index, sum.sum);
    losses.emplace_back(index, sum.lost);
  }
  a = std::move(sums);
  lost = std::move(losses);
}

void AddCompensated(double& total, double& lost, double v) {
  CompensatedSum sum{total, lost};
  sum.Add(v);
  total = sum.sum;
  lost = sum.lost;
}

}  // namespace

HistogramSum::HistogramSum(const HistogramValue& first) : total_(first) {
  lost_.schema = first.schema;
  lost_.zero_threshold = first.zero_threshold;
  lost_.custom_values = first.custom_values;
}

CombineReport HistogramSum::Add(const HistogramValue& h) {
  CombineReport report;
  if (total_.custom() != h.custom()) {
    report.compatible = false;
    return report;
  }
  report.hints_collide = MergeHints(total_, h);
  HistogramValue other = h;
  report.bounds_reconciled = Reconcile(total_, other);
  if (total_.custom()) {
    if (report.bounds_reconciled) ToCustomBounds(lost_, total_.custom_values);
  } else {
    WidenZeroBucket(lost_, total_.zero_threshold);
    ReduceResolution(lost_, total_.schema);
  }
  AddCompensated(total_.zero_count, lost_.zero_count, other.zero_count);
  AddCompensated(total_.count, lost_.count, other.count);
  AddCompensated(total_.sum, lost_.sum, other.sum);
  Unpacked total(total_);
  Unpacked lost(lost_);
  MergeCompensated(total.positive, lost.positive,
                   ToSparse(other.positive_spans, other.positive_buckets));
  MergeCompensated(total.negative, lost.negative,
                   ToSparse(other.negative_spans, other.negative_buckets));
  total.Pack();
  lost.Pack();
  return report;
}

HistogramValue HistogramSum::Result() const {
  HistogramValue out = total_;
  HistogramValue lost = lost_;
  const auto add = [](double& v, double l) {
    if (std::isfinite(v)) v += l;
  };
  add(out.zero_count, lost.zero_count);
  add(out.count, lost.count);
  add(out.sum, lost.sum);
  Unpacked total(out);
  const auto side = [&](SparseBuckets& buckets, const SparseBuckets& losses) {
    size_t k = 0;
    for (auto& [index, count] : buckets) {
      while (k < losses.size() && losses[k].first < index) ++k;
      if (k < losses.size() && losses[k].first == index) add(count, losses[k].second);
    }
  };
  side(total.positive, ToSparse(lost.positive_spans, lost.positive_buckets));
  side(total.negative, ToSparse(lost.negative_spans, lost.negative_buckets));
  total.Pack();
  return out;
}

void Scale(HistogramValue& h, double factor) {
  ForEachNumber(h, [&](double& v) { v *= factor; });
  if (factor < 0) h.hint = Hint::kGauge;
}

void DivideBy(HistogramValue& h, double divisor) {
  ForEachNumber(h, [&](double& v) { v /= divisor; });
  if (divisor < 0) h.hint = Hint::kGauge;
  if (divisor == 0) {
    // Every bucket would be NaN or infinite: only the totals are kept.
    h.positive_spans.clear();
    h.positive_buckets.clear();
    h.negative_spans.clear();
    h.negative_buckets.clear();
  }
}

void Compact(HistogramValue& h) {
  Unpacked u(h);
  const auto empty = [](const std::pair<int32_t, double>& b) { return b.second == 0; };
  std::erase_if(u.positive, empty);
  std::erase_if(u.negative, empty);
  u.Pack();
}

bool DetectReset(const HistogramValue& before, const HistogramValue& now) {
  if (now.hint == Hint::kReset) return true;
  if (now.hint == Hint::kNotReset || now.hint == Hint::kGauge) return false;
  if (now.count < before.count) return true;
  if (before.custom() != now.custom()) return true;
  HistogramValue a = before;
  HistogramValue b = now;
  if (now.custom()) {
    if (a.custom_values != b.custom_values) ReconcileCustom(a, b);
  } else {
    // More resolution or a narrower zero bucket cannot come from the same counter going on.
    if (now.schema > before.schema || now.zero_threshold < before.zero_threshold) return true;
    WidenZeroBucket(a, b.zero_threshold);
    if (a.zero_threshold != b.zero_threshold) return true;
    ReduceResolution(a, b.schema);
    if (b.zero_count < a.zero_count) return true;
  }
  return AnyFell(ToSparse(a.positive_spans, a.positive_buckets),
                 ToSparse(b.positive_spans, b.positive_buckets)) ||
         AnyFell(ToSparse(a.negative_spans, a.negative_buckets),
                 ToSparse(b.negative_spans, b.negative_buckets));
}

bool SameHistogram(const HistogramValue& x, const HistogramValue& y) {
  HistogramValue a = x;
  HistogramValue b = y;
  Compact(a);
  Compact(b);
  const auto same = [](double p, double q) { return p == q || (std::isnan(p) && std::isnan(q)); };
  const auto all = [&](const std::vector<double>& p, const std::vector<double>& q) {
    return std::equal(p.begin(), p.end(), q.begin(), q.end(), same);
  };
  return a.schema == b.schema && same(a.count, b.count) && same(a.sum, b.sum) &&
         a.custom_values == b.custom_values && a.zero_threshold == b.zero_threshold &&
         same(a.zero_count, b.zero_count) && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans && all(a.positive_buckets, b.positive_buckets) &&
         all(a.negative_buckets, b.negative_buckets);
}

}  // namespace picket::rules::promql
