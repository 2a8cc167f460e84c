// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace picket::agent {

inline constexpr char kVersion[] = "0.1.0";
/// What the API claims to be to clients that ask for a Prometheus' features by its version.
inline constexpr char kPrometheusVersion[] = "3.0.0";

}  // namespace picket::agent
