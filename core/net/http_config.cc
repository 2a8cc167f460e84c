// SPDX-License-Identifier: Apache-2.0
#include "core/net/http_config.h"

#include "core/net/http_headers.h"

namespace picket::net {

Status HttpClientConfig::Validate() const { return {}; }
Status WebConfig::Validate() const { return {}; }

}  // namespace picket::net
