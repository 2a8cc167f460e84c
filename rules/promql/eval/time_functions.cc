// SPDX-License-Identifier: Apache-2.0
// Functions of the evaluation time and of points in time.
#include <array>
#include <chrono>
#include <cmath>
#include <limits>

#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/selector.h"

namespace picket::rules::promql {
namespace {

using std::chrono::days;
using std::chrono::year_month_day;

/// A point in time taken apart. Shape: within the years chrono can name.
struct Calendar {
  year_month_day date;
  int64_t day;  ///< since 1970-01-01
  int64_t second_of_day;
};

template <double (*F)(const Calendar&)>
double Apply(double seconds) {
  constexpr double kMost = 9e11;  // about the year 30000
  if (!(std::fabs(seconds) < kMost)) return std::numeric_limits<double>::quiet_NaN();
  const auto whole = static_cast<int64_t>(seconds);
  int64_t day = whole / 86'400;
  int64_t second = whole % 86'400;
  if (second < 0) {
    --day;
    second += 86'400;
  }
  const std::chrono::sys_days date{days(static_cast<int>(day))};
  return F({year_month_day(date), day, second});
}

double Minute(const Calendar& c) { return static_cast<double>(c.second_of_day / 60 % 60); }
double Hour(const Calendar& c) { return static_cast<double>(c.second_of_day / 3600); }
double DayOfMonth(const Calendar& c) { return static_cast<unsigned>(c.date.day()); }
double Month(const Calendar& c) { return static_cast<unsigned>(c.date.month()); }
double Year(const Calendar& c) { return static_cast<int>(c.date.year()); }
double DayOfWeek(const Calendar& c) {
  return std::chrono::weekday(std::chrono::sys_days(c.date)).c_encoding();
}
double DayOfYear(const Calendar& c) {
  const std::chrono::sys_days first = c.date.year() / std::chrono::January / 1;
  return static_cast<double>((std::chrono::sys_days(c.date) - first).count() + 1);
}
double DaysInMonth(const Calendar& c) {
  return static_cast<unsigned>((c.date.year() / c.date.month() / std::chrono::last).day());
}

template <double (*F)(const Calendar&)>
Result<Value> OfCalendar(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  if (call.arguments.empty()) {
    PICKET_ASSIGN(Columns out, evaluation.NewColumns(1, grid.count));
    double* row = out.AddRow({evaluation.Keep(Labels()), false});
    for (size_t t = 0; t < grid.count; ++t)
      row[t] = Apply<F>(static_cast<double>(grid.At(t)) / 1000.0);
    return Value::Vector(std::move(out));
  }
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(*call.arguments[0], grid));
  columns.histograms.clear();
  for (SeriesHead& head : columns.heads) head.drop_name = true;
  for (double& v : columns.values)
    if (!IsAbsent(v)) v = Apply<F>(v);
  return Value::Vector(std::move(columns));
}

Result<Value> Time(Evaluation&, const Call&, const TimeGrid& grid) {
  std::vector<double> out(grid.count);
  for (size_t t = 0; t < grid.count; ++t) out[t] = static_cast<double>(grid.At(t)) / 1000.0;
  return Value::Scalar(std::move(out));
}

Value Constant(const TimeGrid& grid, int64_t ms) {
  return Value::Scalar(std::vector<double>(grid.count, static_cast<double>(ms) / 1000.0));
}
Result<Value> Start(Evaluation& e, const Call&, const TimeGrid& grid) {
  return Constant(grid, e.query_grid().start);
}
Result<Value> End(Evaluation& e, const Call&, const TimeGrid& grid) {
  return Constant(grid, e.query_grid().end());
}
Result<Value> Step(Evaluation& e, const Call&, const TimeGrid& grid) {
  return Constant(grid, e.durations().step.count());
}
Result<Value> Range(Evaluation& e, const Call&, const TimeGrid& grid) {
  return Constant(grid, e.durations().range.count());
}

/// Of a selector: the times of its samples. Of anything else: the evaluation times.
Result<Value> Timestamp(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  const Node& argument = WithoutParens(*call.arguments[0]);
  if (argument.kind == NodeKind::kVectorSelector) {
    const auto& selector = static_cast<const VectorSelector&>(argument);
    if (!selector.smoothed) return SelectorTimes(evaluation, selector, grid);
  }
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(argument, grid));
  for (size_t i = 0; i < columns.size(); ++i) {
    columns.heads[i].drop_name = true;
    for (size_t t = 0; t < columns.steps; ++t)
      if (columns.Has(i, t)) columns.Row(i)[t] = static_cast<double>(grid.At(t)) / 1000.0;
  }
  columns.histograms.clear();
  return Value::Vector(std::move(columns));
}

constexpr auto kRows = std::to_array<FunctionRow>({
    {"minute", &OfCalendar<Minute>},
    {"hour", &OfCalendar<Hour>},
    {"day_of_month", &OfCalendar<DayOfMonth>},
    {"day_of_week", &OfCalendar<DayOfWeek>},
    {"day_of_year", &OfCalendar<DayOfYear>},
    {"days_in_month", &OfCalendar<DaysInMonth>},
    {"month", &OfCalendar<Month>},
    {"year", &OfCalendar<Year>},
    {"time", &Time},
    {"start", &Start},
    {"end", &End},
    {"step", &Step},
    {"range", &Range},
    {"timestamp", &Timestamp},
});

}  // namespace

std::span<const FunctionRow> TimeFunctions() { return kRows; }

}  // namespace picket::rules::promql
