// SPDX-License-Identifier: Apache-2.0
#include "core/net/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace picket::net {
namespace {

uint16_t DefaultPort(std::string_view scheme) {
  return scheme == "https" ? 443 : scheme == "http" ? 80 : 0;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::unexpected<Error> Bad(std::string_view text, std::string_view why) {
  // What stands before an '@' may be a password.
  const size_t at = text.find('@');
  const std::string shown =
      at == std::string_view::npos ? std::string(text) : "..." + std::string(text.substr(at));
  return Fail(Error(ErrorKind::kInvalidArgument, fmt::format("URL \"{}\" {}", shown, why))
                  .Remedy("Write it as http://host:port/path."));
}

// Names as DNS and container networks have them; addresses with a zone in brackets.
bool IsHost(std::string_view host, bool bracketed) {
  if (bracketed && host.find(':') == std::string_view::npos) return false;
  return !host.empty() && std::all_of(host.begin(), host.end(), [&](char c) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    if (bracketed) return c == ':' || c == '.' || c == '%';
    return c == '-' || c == '.' || c == '_' || c == '~';
  });
}

Status ParseHostPort(std::string_view text, std::string_view authority, Url& url) {
  std::string_view host = authority, port;
  if (!authority.empty() && authority.front() == '[') {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return Bad(text, "has no ']' after its IPv6 address");
    host = authority.substr(1, close - 1);
    std::string_view rest = authority.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return Bad(text, "has text after its IPv6 address");
    if (!rest.empty()) port = rest.substr(1);
  } else if (const size_t colon = authority.rfind(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    if (host.find(':') != std::string_view::npos)
      return Bad(text, "has an IPv6 address without brackets");
  }
  if (host.empty()) return Bad(text, "has no host");
  if (!IsHost(host, authority.front() == '['))
    return Bad(text, "has a host that is not a name or address");
  url.host = Lower(host);
  url.port = DefaultPort(url.scheme);
  if (port.empty()) return {};
  auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (ec != std::errc() || end != port.data() + port.size() || url.port == 0)
    return Bad(text, fmt::format("has the port \"{}\", which is not in 1..65535", port));
  return {};
}

Result<Url> ParseUnix(std::string_view text, std::string_view rest) {
  Url url;
  url.scheme = "unix";
  const size_t colon = rest.find(':');
  url.host = std::string(rest.substr(0, colon));
  if (url.host.empty() || url.host.front() != '/') return Bad(text, "has no absolute socket path");
  url.target = colon == std::string_view::npos ? "/" : std::string(rest.substr(colon + 1));
  if (url.target.empty() || url.target.front() != '/') url.target.insert(0, "/");
  return url;
}

}  // namespace

Result<Url> Url::Parse(std::string_view text) {
  for (char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return Bad(text, "has a space or control character");
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return Bad(text, "has no scheme");
  Url url;
  url.scheme = Lower(text.substr(0, colon));
  std::string_view rest = text.substr(colon + 3);
  if (url.scheme == "unix") return ParseUnix(text, rest);
  if (url.scheme != "http" && url.scheme != "https")
    return Bad(text,
               fmt::format("has the scheme \"{}\"; http, https and unix are spoken", url.scheme));
  const size_t slash = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, slash);
  std::string_view target =
      slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  target = target.substr(0, target.find('#'));
  url.target =
      target.empty() || target.front() != '/' ? "/" + std::string(target) : std::string(target);
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    url.userinfo = std::string(authority.substr(0, at));
    authority = authority.substr(at + 1);
  }
  PICKET_TRY(ParseHostPort(text, authority, url));
  return url;
}

std::string Url::Authority() const {
  if (scheme == "unix") return "localhost";
  const bool v6 = host.find(':') != std::string::npos;
  std::string out = v6 ? "[" + host + "]" : host;
  if (port != DefaultPort(scheme)) out += fmt::format(":{}", port);
  return out;
}

std::string Url::Origin() const {
  if (scheme == "unix") return "unix://" + host;
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
}

std::string Url::ToString() const {
  if (scheme == "unix") return "unix://" + host + ":" + target;
  return scheme + "://" + Authority() + target;
}

Result<Url> Url::Resolve(std::string_view reference) const {
  reference = reference.substr(0, reference.find('#'));
  const size_t colon = reference.find("://");
  if (colon != std::string_view::npos && colon < reference.find_first_of("/?")) {
    PICKET_ASSIGN(Url out, Parse(reference));
    if (out.scheme == "unix") return Bad(reference, "leads from the network to a local socket");
    return out;
  }
  if (reference.starts_with("//")) return Parse(scheme + ":" + std::string(reference));
  for (char c : reference)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return Bad(reference, "has a space or control character");
  Url out = *this;
  out.userinfo.clear();
  if (reference.starts_with("/")) {
    out.target = std::string(reference);
  } else if (reference.starts_with("?")) {
    out.target = target.substr(0, target.find('?')) + std::string(reference);
  } else if (!reference.empty()) {
    const std::string path = target.substr(0, target.find('?'));
    out.target = path.substr(0, path.rfind('/') + 1) + std::string(reference);
  }
  return out;
}

Result<std::string> PercentDecode(std::string_view text, bool plus) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return Fail(ErrorKind::kInvalidArgument,
                    fmt::format("bad percent escape at byte {}", i + 1));
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::string PercentEncode(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace picket::net
