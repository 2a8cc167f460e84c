// SPDX-License-Identifier: Apache-2.0
#include "rules/canary/config.h"

#include <set>

#include "rules/promql/parser.h"

namespace picket::rules::canary {
namespace {

// Reports what does not parse, at its key.
void CheckExpression(const std::string& key, const std::string& text, config::Reporter& r) {
  if (auto parsed = promql::Parse(text); !parsed)
    r.Error(key, parsed.error().message(),
            "Write a PromQL expression, for example http_requests_total{job=\"shop\"}.");
}

}  // namespace

void Declare(config::Object<IndicatorConfig>& o) {
  o.Doc("Two counters compared between canary and baseline.");
  o.Field("name", &IndicatorConfig::name, "Shown in the evidence.").NonEmpty();
  o.Field("requests", &IndicatorConfig::requests, "Counter of all requests: a series selector.")
      .NoExpand()
      .NonEmpty();
  o.Field("errors", &IndicatorConfig::errors,
          "Counter of the bad ones among them: a series selector, on the same targets.")
      .NoExpand()
      .NonEmpty();
  o.Check([](const IndicatorConfig& c, config::Reporter& r) {
    CheckExpression("requests", c.requests, r);
    CheckExpression("errors", c.errors, r);
  });
}

void Declare(config::Object<ThresholdConfig>& o) {
  o.Doc("A plain limit on an expression, beside the statistical test.");
  o.Field("name", &ThresholdConfig::name, "Shown in the evidence.");
  o.Field("expr", &ThresholdConfig::expr,
          "PromQL; every sample of the result is held against the limits.")
      .Required()
      .NoExpand();
  o.Field("max", &ThresholdConfig::max, "A value above it is a failure.");
  o.Field("min", &ThresholdConfig::min, "A value below it is a failure.");
  o.Field("failures", &ThresholdConfig::failures,
          "Consecutive failing evaluations that make the canary bad.")
      .Min(1);
  o.Check([](const ThresholdConfig& c, config::Reporter& r) {
    CheckExpression("expr", c.expr, r);
    if (!c.max && !c.min) r.Error("expr", "has neither max nor min", "Give at least one of them.");
  });
}

void Declare(config::Object<CanaryConfig>& o) {
  o.Doc("Watches one rollout: compares canary with baseline and signals when the canary is worse.");
  o.Field("name", &CanaryConfig::name, "Name of the rollout, for people and signals.")
      .Required()
      .NonEmpty();
  o.Field("canary", &CanaryConfig::canary, "Matchers that tell the canary's series.")
      .Required()
      .NoExpand()
      .Example("{job=\"shop\", version=\"v2\"}");
  o.Field("baseline", &CanaryConfig::baseline, "Matchers that tell the baseline's series.")
      .Required()
      .NoExpand()
      .Example("{job=\"shop\", version=\"v1\"}");
  o.Field("indicators", &CanaryConfig::indicators,
          "What is compared; several share the false-alarm probability.")
      .DefaultText("requests http_requests_total, errors http_requests_total{code=~\"5..\"}");
  o.Field("thresholds", &CanaryConfig::thresholds,
          "Plain limits; each one alone makes the canary bad.");
  o.Field("interval", &CanaryConfig::interval, "How often the evidence is looked at.")
      .Min(Milliseconds(100));
  o.Field("false_alarm", &CanaryConfig::false_alarm,
          "Probability that a canary no worse than the baseline is ever rolled back, over the "
          "whole rollout.")
      .Min(1e-9)
      .Max(0.2);
  o.Field("tolerated_ratio", &CanaryConfig::tolerated_ratio,
          "How many times the baseline's error rate the canary may have.")
      .Min(1.0);
  o.Field(
       "absolute_limit", &CanaryConfig::absolute_limit,
       "A canary error rate that is bad by itself while the baseline is healthy; 0 turns it off.")
      .Min(0.0)
      .Max(0.9);
  o.Field("minimum_difference", &CanaryConfig::minimum_difference,
          "The canary's error rate must exceed the baseline's by this much before anything is "
          "rolled back.")
      .Min(0.0)
      .Max(1.0);
  o.Field(
      "strict", &CanaryConfig::strict,
      "Count scrapes with an error instead of errors: holds under bursts, needs more requests.");
  o.Field("minimum_requests", &CanaryConfig::minimum_requests,
          "Requests the canary must have had before a verdict.")
      .Min(1);
  o.Field("idle_reset", &CanaryConfig::idle_reset,
          "A canary without traffic for so long has ended; the next traffic is a new rollout.")
      .Min(Milliseconds(1000));
  o.Field(
      "rollout_label", &CanaryConfig::rollout_label,
      "Label of the canary's series whose value names the rollout; one action is taken for each.");
  o.Field("signals", &CanaryConfig::signals, "Names under exporters.signals that are told.");
  o.Field("promote", &CanaryConfig::promote, "Also signal when the verdict becomes ok.");
  o.Check([](const CanaryConfig& c, config::Reporter& r) {
    for (const auto& [key, text] :
         {std::pair{"canary", c.canary}, std::pair{"baseline", c.baseline}})
      CheckExpression(key, text, r);
    if (c.canary == c.baseline)
      r.Error("canary", "is the same selector as baseline",
              "Give the label that tells them apart.");
    std::set<std::string> names;
    for (const IndicatorConfig& i : c.indicators)
      if (!names.insert(i.name).second)
        r.Error("indicators", "two indicators are called \"" + i.name + "\"",
                "Give each its own name.");
  });
}

}  // namespace picket::rules::canary
