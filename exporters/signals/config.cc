// SPDX-License-Identifier: Apache-2.0
#include "exporters/signals/config.h"

#include "core/net/http_headers.h"
#include "core/net/url.h"

namespace picket::exporters::signals {
namespace {

void CheckWebhook(const SignalConfig& c, config::Reporter& r) {
  if (c.url.empty()) {
    r.Error("url", "a webhook needs a url", "Add url: http://controller:8080/hook.");
  } else if (const auto url = net::Url::Parse(c.url); !url) {
    r.Error("url", url.error().message(), url.error().remedy());
  }
  if (!c.secret.empty() && !c.secret_file.empty())
    r.Error("secret_file", "secret and secret_file are both given", "Keep one of them.");
  if (!c.command.empty())
    r.Error("command", "belongs to kind: exec", "Remove it or change the kind.");
  for (const auto& [name, value] : c.headers)
    if (!net::IsToken(name) || !net::IsFieldValue(value))
      r.Error("headers." + name, "cannot be sent as a header");
}

void CheckExec(const SignalConfig& c, config::Reporter& r) {
  if (c.command.empty() || c.command[0].empty())
    r.Error("command", "an exec signal needs a command", "Add command: [/usr/local/bin/rollback].");
  for (const char* key : {"url", "secret", "secret_file", "headers"})
    if (r.IsSet(key)) r.Error(key, "belongs to kind: webhook", "Remove it or change the kind.");
}

}  // namespace

void Declare(config::Object<SignalConfig>& o) {
  o.Doc("How a canary's verdict reaches what controls the rollout.");
  o.Field("kind", &SignalConfig::kind, "How to deliver.")
      .OneOf({{"webhook", Kind::kWebhook}, {"exec", Kind::kExec}})
      .Required();
  o.Field("url", &SignalConfig::url, "Where a webhook posts to.");
  o.Field("secret", &SignalConfig::secret, "Signs the body: X-Picket-Signature, HMAC-SHA256.");
  o.Field("secret_file", &SignalConfig::secret_file,
          "A file with the secret, read at each attempt.")
      .Path();
  o.Field("headers", &SignalConfig::headers, "More headers of the webhook.");
  o.Inline(&SignalConfig::http);
  o.Field("command", &SignalConfig::command,
          "The program to run and its arguments; no shell is involved.");
  o.Field("timeout", &SignalConfig::timeout, "How long one attempt may take.").Min(Milliseconds(1));
  o.Field("give_up_after", &SignalConfig::give_up_after, "How long after the verdict attempts end.")
      .Min(Milliseconds(1));
  o.Field("min_backoff", &SignalConfig::min_backoff,
          "The first pause between attempts; it doubles.")
      .Min(Milliseconds(1));
  o.Field("max_backoff", &SignalConfig::max_backoff, "The longest pause between attempts.")
      .Min(Milliseconds(1));
  o.Check([](const SignalConfig& c, config::Reporter& r) {
    if (c.kind == Kind::kWebhook)
      CheckWebhook(c, r);
    else
      CheckExec(c, r);
    if (c.max_backoff < c.min_backoff) r.Error("max_backoff", "is below min_backoff", "Raise it.");
  });
}

}  // namespace picket::exporters::signals
