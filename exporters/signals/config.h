// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/base/secret.h"
#include "core/base/units.h"
#include "core/config/object.h"
#include "core/net/http_config.h"

namespace picket::exporters::signals {

enum class Kind : uint8_t { kWebhook, kExec };

/// One entry of exporters.signals: how a verdict reaches what controls the rollout.
struct SignalConfig {
  Kind kind = Kind::kWebhook;

  std::string url;  ///< webhook
  Secret secret;    ///< webhook: signs the body
  std::string secret_file;
  std::map<std::string, std::string> headers;
  net::HttpClientConfig http;

  std::vector<std::string> command;  ///< exec: program and arguments, no shell

  Milliseconds timeout{10'000};         ///< of one attempt
  Milliseconds give_up_after{600'000};  ///< since the verdict was taken on
  Milliseconds min_backoff{1'000};
  Milliseconds max_backoff{30'000};
};

void Declare(config::Object<SignalConfig>& o);

}  // namespace picket::exporters::signals
