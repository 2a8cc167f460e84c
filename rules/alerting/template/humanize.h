// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace picket::rules::alerting::tmpl {

// Numbers for people. Source: Prometheus documentation, template reference, "Numbers".
std::string Humanize(double v);            ///< "1.234k"
std::string Humanize1024(double v);        ///< "1.206ki"
std::string HumanizeDuration(double v);    ///< seconds: "1h 2m 3s"
std::string HumanizePercentage(double v);  ///< "12.3%"
std::string HumanizeTimestamp(double v);   ///< Unix seconds: "2015-01-01 00:00:00 +0000 UTC"
/// %.4g
std::string FourDigits(double v);

}  // namespace picket::rules::alerting::tmpl
