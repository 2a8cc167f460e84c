// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/http/config.h"

#include "core/net/url.h"

namespace picket::collectors::discovery {
namespace {

void CheckUrl(const std::string& text, config::Reporter& r) {
  constexpr std::string_view kRemedy = "Write it like http://host:port/path.";
  if (!text.starts_with("http://") && !text.starts_with("https://"))
    return r.Error("", "the scheme of the URL is neither http nor https", std::string(kRemedy));
  if (const auto url = net::Url::Parse(text); !url)
    r.Error("", url.error().message(), std::string(kRemedy));
  else if (url->host.empty())
    r.Error("", "the URL has no host", std::string(kRemedy));
}

}  // namespace

void Declare(config::Object<HttpSdConfig>& o) {
  o.Doc("Targets from an HTTP server that answers with a JSON list of {targets, labels}.");
  o.Field("url", &HttpSdConfig::url, "What to ask.")
      .Required()
      .NonEmpty()
      .Example("http://targets.example.com/prometheus")
      .Check(CheckUrl);
  o.Field("refresh_interval", &HttpSdConfig::refresh_interval,
          "How often it is asked; also the longest an answer may take.")
      .Min(Milliseconds(1));
  o.Inline(&HttpSdConfig::http);
}

}  // namespace picket::collectors::discovery
