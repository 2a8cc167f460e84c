// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/config/describe.h"
#include "core/config/object.h"

/// Settings of an imaginary shop with one of every kind.
namespace picket::shop {

enum class Mode : uint8_t { kFast, kSafe };

struct Client {
  std::string url;
  Secret password;
  std::string password_file;
  Milliseconds timeout{5000};
};
struct Rule {
  std::string regex = "(.*)";
  std::string replacement = "$1";
  std::vector<Rule> then;
};
struct Tls {
  std::string ca_file;
  bool insecure = false;
};
struct Config {
  std::string name = "shop";
  bool open = true;
  int64_t floors = 2;
  uint16_t port = 80;
  double share = 0.5;
  Mode mode = Mode::kFast;
  std::vector<Mode> modes;
  Bytes memory{1 << 20};
  Bytes body;
  Labels labels;
  std::map<std::string, std::string> headers;
  std::map<std::string, Client> clients;
  std::vector<std::string> files;
  std::vector<Rule> rules;
  std::optional<Client> main;
  std::optional<Milliseconds> every;
  Client fallback{.url = "http://fallback", .password = {}, .password_file = {}, .timeout = {}};
  Tls tls;
  bool http2 = true;
  std::vector<Secret> keys;
};

inline void Declare(config::Object<Tls>& o) {
  o.Field("ca_file", &Tls::ca_file, "Who signs.").Path();
  o.Field("insecure", &Tls::insecure, "Do not check certificates.");
}
inline void Declare(config::Object<Client>& o) {
  o.Doc("Somebody to talk to.");
  o.Field("url", &Client::url, "Where to.").Required();
  o.Field("password", &Client::password, "How to get in.");
  o.Field("password_file", &Client::password_file, "A file with the password.").Path();
  o.Field("timeout", &Client::timeout, "How long to wait.")
      .Min(Milliseconds(1))
      .Max(Milliseconds(60'000));
  o.Check([](const Client& c, config::Reporter& r) {
    if (!c.password.empty() && !c.password_file.empty())
      r.Error("password_file", "stands beside password", "Keep one of them.");
  });
}
inline void Declare(config::Object<Rule>& o) {
  o.Field("regex", &Rule::regex, "What to match.").NoExpand().NullIsEmpty();
  o.Field("replacement", &Rule::replacement, "What to write.").NoExpand();
  o.Field("then", &Rule::then, "Rules below this one.");
}
inline void Declare(config::Object<Config>& o) {
  o.Doc("A shop.");
  o.AllowExtensions();
  o.Field("name", &Config::name, "Its name.").NonEmpty();
  o.Field("open", &Config::open, "Whether it is open.");
  o.Field("floors", &Config::floors, "How many floors.").Min(-1).Max(100);
  o.Field("port", &Config::port, "Where it listens.");
  o.Field("share", &Config::share, "Of the market.").Min(0).Max(1);
  o.Field("mode", &Config::mode, "How it works.")
      .OneOf({{"fast", Mode::kFast}, {"safe", Mode::kSafe}});
  o.Field("modes", &Config::modes, "Other ways.")
      .OneOf({{"fast", Mode::kFast}, {"safe", Mode::kSafe}});
  o.Field("memory", &Config::memory, "What it may use.").Example("64MiB");
  o.Field("body_limit", &Config::body, "Largest body.").BinaryUnits();
  o.Field("labels", &Config::labels, "Put on everything.").ExpandLikeExternalLabels();
  o.Field("headers", &Config::headers, "Sent along.");
  o.Field("clients", &Config::clients, "By name.");
  o.Field("files", &Config::files, "Globs.").Path();
  o.Field("rules", &Config::rules, "In order.");
  o.Field("main", &Config::main, "The first client.");
  o.Field("every", &Config::every, "How often.").DefaultText("the global interval");
  o.Field("fallback", &Config::fallback, "The last client.");
  o.Inline(&Config::tls);
  o.Field("http2", &Config::http2, "Speak HTTP/2.").Unsupported("HTTP/1.1 only mode");
  o.Field("keys", &Config::keys, "Several secrets.");
  o.Unsupported("consul_sd_configs", "Consul discovery");
  o.Check([](const Config& c, config::Reporter& r) {
    if (c.floors == 13) r.Error("floors", "brings bad luck", "Say 14.");
    if (c.rules.size() > 1 && c.rules[1].regex == "bad")
      r.Error("rules[1].regex", "is bad in second place", "Move it.");
  });
}

}  // namespace picket::shop
