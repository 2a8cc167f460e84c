// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/unit_test/run.h"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>

#include "core/base/strings.h"
#include "rules/alerting/group.h"
#include "rules/alerting/unit_test/store.h"
#include "rules/promql/eval/histogram_math.h"
#include "rules/promql/parser.h"

namespace picket::rules::alerting::unit_test {
namespace {

using promql::HistogramPtr;
using Texts = std::map<std::string, std::string>;

Texts TextsOf(const Labels& labels) {
  Texts out;
  for (const auto& [name, value] : labels) out.emplace(name, value);
  return out;
}

std::string Print(const Texts& texts) {
  std::string out;
  for (const auto& [name, text] : texts)
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ", ", name, text);
  return "{" + out + "}";
}

/// What is compared of a sample. Shape: sorted by labels.
struct Sample {
  Labels labels;
  double value = 0;
  HistogramPtr histogram;

  std::string Print() const {
    return labels.ToString() + " " +
           (histogram ? promql::HistogramNotation(*histogram) : FormatFloat(value));
  }
};

/// Values as the comparison sees them. NaN equals nothing, as in promtool.
struct Comparison {
  bool fuzzy = false;

  bool Equal(double a, double b) const {
    constexpr double kInf = std::numeric_limits<double>::infinity();
    return a == b || (fuzzy && (std::nextafter(a, -kInf) == b || std::nextafter(a, kInf) == b));
  }
  bool Equal(const HistogramPtr& a, const HistogramPtr& b) const {
    if (!a || !b) return !a && !b;
    HistogramValue x = *a, y = *b;
    promql::Compact(x);
    promql::Compact(y);
    return x.hint == y.hint && promql::SameHistogram(x, y);
  }
  bool Equal(const std::vector<Sample>& a, const std::vector<Sample>& b) const {
    return std::equal(
        a.begin(), a.end(), b.begin(), b.end(), [&](const Sample& x, const Sample& y) {
          return x.labels == y.labels && Equal(x.value, y.value) && Equal(x.histogram, y.histogram);
        });
  }
};

template <class T, class F>
std::string PrintAll(const std::vector<T>& all, F print) {
  std::string out;
  for (const T& one : all) out += "\n        " + print(one);
  return out.empty() ? " none" : out;
}

Result<Sample> ParseExpected(const ExpectedSample& e) {
  Sample out;
  if (!e.labels.empty()) {
    PICKET_ASSIGN(out.labels, promql::ParseSeriesLabels(e.labels));
  }
  PICKET_ASSIGN(out.value, ParseNumber(e.value));
  if (!e.histogram.empty()) {
    PICKET_ASSIGN(const auto line, promql::ParseSeriesLine("{} " + e.histogram));
    if (line.values.size() != 1 || !line.values[0].histogram)
      return Fail(ErrorKind::kInvalidArgument, "expected one histogram: " + e.histogram);
    out.histogram = line.values[0].histogram;
  }
  return out;
}

/// One test of a file: a store, the groups over it, and a clock that jumps.
class Test {
 public:
  Test(const FileConfig& file, const TestConfig& config, std::string name, Report& report)
      : file_(file), config_(config), name_(std::move(name)), report_(report) {
    engine_ = promql::Engine({.default_subquery_step = file.evaluation_interval});
    settings_.evaluation_interval = file.evaluation_interval;
    settings_.external_url = config.external_url;
    needs_.querier = &store_.querier();
    needs_.engine = &engine_;
    needs_.intake = &store_;
    needs_.clock = &SystemClock::Get();
    needs_.external_labels = Labels({config.external_labels.begin(), config.external_labels.end()});
    start_ = *ParseStart(config.start_timestamp);  // checked when the file was read
  }

  void Run(const std::vector<GroupConfig>& groups) {
    if (!LoadInput()) return;
    for (const GroupConfig& g : groups) groups_.emplace_back(g, settings_, &needs_);
    Milliseconds last(0);
    for (const AlertCase& c : config_.alerts) last = std::max(last, c.eval_time);
    for (const ExpressionCase& c : config_.expressions) last = std::max(last, c.eval_time);
    const Milliseconds step = file_.evaluation_interval;
    for (Milliseconds at(0); at <= last; at += step) {
      if (!Evaluate(at)) return;
      for (const AlertCase& c : config_.alerts)
        if (at <= c.eval_time && c.eval_time < at + step) Check(c);
    }
    for (const ExpressionCase& c : config_.expressions) Check(c);
  }

 private:
  void Fail(std::string text) { report_.failures.push_back({name_, std::move(text)}); }

  bool LoadInput() {
    bool good = true;
    const Milliseconds interval = config_.interval.value_or(Milliseconds(0)).count() > 0
                                      ? *config_.interval
                                      : file_.evaluation_interval;
    for (const InputSeries& s : config_.input_series) {
      auto line = promql::ParseSeriesLine(s.series + " " + s.values);
      if (line) {
        store_.AddInput(*std::move(line), start_, interval);
      } else {
        Fail(fmt::format("series {}: {}", s.series, line.error().message()));
        good = false;
      }
    }
    return good;
  }

  bool Evaluate(Milliseconds at) {
    store_.ShowUntil(start_ + at.count());
    std::vector<std::string> errors;
    for (Group& g : groups_) {
      g.Evaluate(start_ + at.count());
      for (const Rule& r : g.rules())
        if (r.health == RuleHealth::kErr)
          errors.push_back(
              fmt::format("rule {} at {}: {}", r.config.Name(), FormatDuration(at), r.last_error));
      for (const std::string& series : store_.TakeConflicts())
        errors.push_back(fmt::format("group {} at {}: {} has another sample at this time already",
                                     g.config().name, FormatDuration(at), series));
    }
    for (std::string& e : errors) Fail(std::move(e));
    return errors.empty();
  }

  void Check(const AlertCase& c) {
    ++report_.checks;
    using One = std::pair<Texts, Texts>;
    std::vector<One> expected, got;
    for (const ExpectedAlert& e : c.expected) {
      expected.emplace_back(e.labels, e.annotations).first["alertname"] = c.alertname;
    }
    for (const Group& g : groups_)
      for (const Rule& r : g.rules()) {
        if (!r.alert || r.config.alert != c.alertname) continue;
        for (const auto& [labels, alert] : r.alert->alerts()) {
          if (alert.state != AlertState::kFiring) continue;
          got.emplace_back(TextsOf(labels), TextsOf(alert.annotations));
          // An annotation whose text came out empty is still one.
          for (const auto& [name, text] : r.config.annotations) got.back().second.try_emplace(name);
        }
      }
    std::sort(expected.begin(), expected.end());
    std::sort(got.begin(), got.end());
    if (expected == got) return;
    const auto print = [](const One& a) { return Print(a.first) + " " + Print(a.second); };
    Fail(fmt::format("alertname: {}, time: {}\n      expected:{}\n      got:{}", c.alertname,
                     FormatDuration(c.eval_time), PrintAll(expected, print), PrintAll(got, print)));
  }

  Result<std::vector<Sample>> Query(const ExpressionCase& c) const {
    PICKET_ASSIGN(const auto expression, promql::Parse(c.expr));
    PICKET_ASSIGN(auto result,
                  engine_.Instant(*expression, store_.querier(), start_ + c.eval_time.count()));
    std::vector<Sample> out;
    if (result.type == promql::ValueType::kScalar)
      out.push_back({{}, result.scalar, nullptr});
    else if (result.type == promql::ValueType::kVector)
      for (auto& s : result.vector)
        out.push_back({std::move(s.labels), s.histogram ? 0 : s.value, std::move(s.histogram)});
    else
      return picket::Fail(ErrorKind::kInvalidArgument, "the result is not a vector or scalar");
    return out;
  }

  void Check(const ExpressionCase& c) {
    ++report_.checks;
    const auto fail = [&](const std::string& what) {
      Fail(fmt::format("expr: {}, time: {}{}", c.expr, FormatDuration(c.eval_time), what));
    };
    auto got = Query(c);
    if (!got) return fail(": " + got.error().ToString());
    std::vector<Sample> expected;
    for (const ExpectedSample& e : c.expected) {
      auto sample = ParseExpected(e);
      if (!sample) return fail(fmt::format(": labels {}: {}", e.labels, sample.error().message()));
      expected.push_back(*std::move(sample));
    }
    const auto by_labels = [](const Sample& a, const Sample& b) { return a.labels < b.labels; };
    std::sort(expected.begin(), expected.end(), by_labels);
    std::sort(got->begin(), got->end(), by_labels);
    if (Comparison{file_.fuzzy_compare}.Equal(expected, *got)) return;
    const auto print = [](const Sample& s) { return s.Print(); };
    fail(fmt::format("\n      expected:{}\n      got:{}", PrintAll(expected, print),
                     PrintAll(*got, print)));
  }

  const FileConfig& file_;
  const TestConfig& config_;
  const std::string name_;
  Report& report_;
  Store store_;
  promql::Engine engine_;
  AlertingConfig settings_;
  GroupNeeds needs_;
  std::deque<Group> groups_;
  UnixMs start_ = 0;
};

/// The groups of the rule files, in the order they are evaluated.
std::vector<GroupConfig> LoadGroups(const FileConfig& file, const RuleFileOptions& options,
                                    config::Diagnostics& diagnostics) {
  std::vector<GroupConfig> groups;
  std::set<std::string> read;
  for (size_t i = 0; i < file.rule_files.size(); ++i) {
    for (const std::string& path : ExpandGlob(file.rule_files[i])) {
      if (!read.insert(path).second) continue;
      auto loaded = LoadRuleFile(path, diagnostics, options);
      if (!loaded) {
        // promtool warns too: a pattern without a file is no rules.
        diagnostics.Add({config::Severity::kWarning,
                         nullptr,
                         {},
                         fmt::format("rule_files[{}]", i),
                         loaded.error().ToString(),
                         {},
                         {}});
        continue;
      }
      for (GroupConfig& g : *loaded) groups.push_back(std::move(g));
    }
  }
  const auto& order = file.group_eval_order;
  const auto position = [&](const GroupConfig& g) {
    const auto it = std::find(order.begin(), order.end(), g.name);
    return it == order.end() ? 0 : it - order.begin();
  };
  std::stable_sort(groups.begin(), groups.end(), [&](const GroupConfig& a, const GroupConfig& b) {
    return position(a) < position(b);
  });
  return groups;
}

}  // namespace

Result<Report> RunFile(const std::string& path, const RunOptions& options) {
  std::vector<std::unique_ptr<RE2>> selected;
  for (const std::string& pattern : options.run) {
    selected.push_back(std::make_unique<RE2>(pattern, RE2::Quiet));
    if (!selected.back()->ok())
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("{}: {}", pattern, selected.back()->error()));
  }
  PICKET_ASSIGN(const auto source, config::ReadSource(path));
  Report report;
  FileConfig file;
  const auto documents = config::ParseYamlDocuments(source, report.diagnostics);
  if (!documents.empty()) config::Load(documents.front(), file, report.diagnostics);
  if (report.diagnostics.HasErrors()) return report;
  if (file.evaluation_interval.count() == 0) file.evaluation_interval = Milliseconds(60'000);
  const auto groups = LoadGroups(file, options.rule_files, report.diagnostics);
  for (size_t i = 0; i < file.tests.size(); ++i) {
    const TestConfig& t = file.tests[i];
    if (!selected.empty() && std::none_of(selected.begin(), selected.end(), [&](const auto& re) {
          return RE2::PartialMatch(t.name, *re);
        })) {
      ++report.skipped;
      continue;
    }
    ++report.ran;
    // Without its rules nothing can be said.
    if (report.diagnostics.HasErrors()) continue;
    Test(file, t, t.name.empty() ? fmt::format("tests[{}]", i) : t.name, report).Run(groups);
  }
  return report;
}

}  // namespace picket::rules::alerting::unit_test
