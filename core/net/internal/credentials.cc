// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/credentials.h"

#include <boost/beast/core/detail/base64.hpp>

#include "core/base/strings.h"

namespace picket::net {
namespace {

namespace base64 = boost::beast::detail::base64;

Result<std::string> Trimmed(const TextSource& source) {
  PICKET_ASSIGN(auto text, source.Read());
  if (!text) return std::string();
  return source.from_file() ? std::string(Trim(*text)) : *text;  // editors end files with a newline
}

}  // namespace

std::string Base64Encode(std::string_view bytes) {
  std::string out(base64::encoded_size(bytes.size()), '\0');
  out.resize(base64::encode(out.data(), bytes.data(), bytes.size()));
  return out;
}

std::string Base64Decode(std::string_view text) {
  std::string out(base64::decoded_size(text.size() + 3), '\0');
  const auto [made, taken] = base64::decode(out.data(), text.data(), text.size());
  const std::string_view rest = text.substr(taken);
  if (rest.find_first_not_of('=') != std::string_view::npos) return {};
  out.resize(made);
  return out;
}

Credentials::Credentials(const HttpClientConfig& c) {
  if (c.basic_auth) {
    basic_ = true;
    username_ = TextSource(c.basic_auth->username, c.basic_auth->username_file);
    password_ = TextSource(c.basic_auth->password.Reveal(), c.basic_auth->password_file);
  } else if (c.authorization) {
    type_ = c.authorization->type.empty() ? "Bearer" : c.authorization->type;
    token_ = TextSource(c.authorization->credentials.Reveal(), c.authorization->credentials_file);
  } else {
    type_ = "Bearer";
    token_ = TextSource(c.bearer_token.Reveal(), c.bearer_token_file);
  }
  for (const auto& [name, header] : c.http_headers) {
    for (const auto& v : header.values) extras_.push_back({name, TextSource(v, {})});
    for (const auto& v : header.secrets) extras_.push_back({name, TextSource(v.Reveal(), {})});
    for (const auto& v : header.files) extras_.push_back({name, TextSource({}, v)});
  }
}

Result<std::string> Credentials::Authorization() const {
  if (basic_) {
    PICKET_ASSIGN(std::string user, Trimmed(username_));
    PICKET_ASSIGN(std::string password, Trimmed(password_));
    return "Basic " + Base64Encode(user + ":" + password);
  }
  if (!token_.given()) return std::string();
  PICKET_ASSIGN(std::string token, Trimmed(token_));
  return type_ + " " + token;
}

Status Credentials::AppendHeaders(HttpHeaders& out) const {
  for (const Extra& extra : extras_) {
    PICKET_ASSIGN(std::string value, Trimmed(extra.value));
    out.Add(extra.name, std::move(value));
  }
  return {};
}

}  // namespace picket::net
