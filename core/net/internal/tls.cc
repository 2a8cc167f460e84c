// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/tls.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl.hpp>
#include <cstring>

#include "core/base/log.h"

namespace picket::net {
namespace {

namespace ssl = asio::ssl;

int NativeVersion(TlsVersion v) {
  switch (v) {
    case TlsVersion::kDefault:
      return 0;
    case TlsVersion::kTls10:
      return TLS1_VERSION;
    case TlsVersion::kTls11:
      return TLS1_1_VERSION;
    case TlsVersion::kTls12:
      return TLS1_2_VERSION;
    case TlsVersion::kTls13:
      return TLS1_3_VERSION;
  }
  return 0;
}

// Browsers and proxies may offer h2 first; HTTP/1.1 is chosen.
int ChooseHttp11(SSL*, const unsigned char** out, unsigned char* length, const unsigned char* in,
                 unsigned int in_length, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  if (SSL_select_next_proto(const_cast<unsigned char**>(out), length, kOurs, sizeof kOurs - 1, in,
                            in_length) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  return SSL_TLSEXT_ERR_OK;
}

ssl::verify_mode ServerVerifyMode(const std::string& type) {
  if (type == "RequestClientCert" || type == "VerifyClientCertIfGiven") return ssl::verify_peer;
  if (type == "RequireAnyClientCert" || type == "RequireAndVerifyClientCert")
    return ssl::verify_peer | ssl::verify_fail_if_no_peer_cert;
  return ssl::verify_none;
}

Error Refused(std::string_view what, const std::string& name, const ErrorCode& ec) {
  return Error(ErrorKind::kInvalidArgument, fmt::format("{} {}: {}", what, name, ec.message()));
}

}  // namespace

TlsContext::TlsContext(const TlsConfig& c)
    : server_(false),
      ca_(c.ca, c.ca_file),
      cert_(c.cert, c.cert_file),
      key_(c.key.Reveal(), c.key_file),
      skip_verify_(c.insecure_skip_verify),
      min_(c.min_version == TlsVersion::kDefault ? TlsVersion::kTls12 : c.min_version),
      max_(c.max_version) {}

TlsContext::TlsContext(const TlsServerConfig& c)
    : server_(true),
      ca_(c.client_ca, c.client_ca_file),
      cert_(c.cert, c.cert_file),
      key_(c.key.Reveal(), c.key_file),
      client_auth_(c.client_auth_type),
      min_(c.min_version),
      max_(c.max_version) {}

Result<TlsContext::Texts> TlsContext::ReadTexts() const {
  Texts texts;
  PICKET_ASSIGN(texts.ca, ca_.Read());
  PICKET_ASSIGN(texts.cert, cert_.Read());
  PICKET_ASSIGN(texts.key, key_.Read());
  return texts;
}

Result<std::shared_ptr<ssl::context>> TlsContext::Get() {
  std::lock_guard lock(mutex_);
  auto texts = ReadTexts();
  if (texts && context_ && *texts == built_from_) return context_;
  auto built = texts ? Build(*texts) : Result<std::shared_ptr<ssl::context>>(Fail(texts.error()));
  if (!built) {
    if (!context_) return built;
    log::Warn("TLS files are not usable; the former ones stay in use",
              {{"error", built.error().ToString()}});
    return context_;
  }
  context_ = *built;
  built_from_ = *std::move(texts);
  return context_;
}

Result<std::shared_ptr<ssl::context>> TlsContext::Build(const Texts& texts) const {
  auto context =
      std::make_shared<ssl::context>(server_ ? ssl::context::tls_server : ssl::context::tls_client);
  ErrorCode ec;
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, NativeVersion(min_));
  SSL_CTX_set_max_proto_version(native, NativeVersion(max_));
  // Idle connections are many and talk rarely: give their record buffers back.
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  if (texts.ca) {
    context->add_certificate_authority(asio::buffer(*texts.ca), ec);
    if (ec) return Fail(Refused("CA certificate", ca_.name("ca"), ec));
  } else if (!server_) {
    context->set_default_verify_paths(ec);
  }
  if (texts.cert) {
    context->use_certificate_chain(asio::buffer(*texts.cert), ec);
    if (ec) return Fail(Refused("certificate", cert_.name("cert"), ec));
  }
  if (texts.key) {
    context->use_private_key(asio::buffer(*texts.key), ssl::context::pem, ec);
    if (ec) return Fail(Refused("private key", key_.name("key"), ec));
  }
  if (server_) {
    context->set_verify_mode(ServerVerifyMode(client_auth_));
    if (client_auth_ == "RequestClientCert" || client_auth_ == "RequireAnyClientCert")
      context->set_verify_callback([](bool, ssl::verify_context&) { return true; });
    static constexpr unsigned char kSession[] = "picket";
    SSL_CTX_set_session_id_context(native, kSession, sizeof kSession - 1);
    SSL_CTX_set_alpn_select_cb(native, ChooseHttp11, nullptr);
  } else {
    context->set_verify_mode(skip_verify_ ? ssl::verify_none : ssl::verify_peer);
  }
  return context;
}

Status PrepareClientTls(Connection& connection, const TlsConfig& config, const std::string& host) {
  const std::string& name = config.server_name.empty() ? host : config.server_name;
  ErrorCode ec;
  const bool literal = (asio::ip::make_address(name, ec), !ec);
  // Server name indication carries names, never addresses (RFC 6066 section 3).
  if (!literal && SSL_set_tlsext_host_name(connection.tls()->native_handle(), name.c_str()) != 1)
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("\"{}\" cannot be a TLS server name", name));
  if (!config.insecure_skip_verify)
    connection.tls()->set_verify_callback(ssl::host_name_verification(name));
  return {};
}

std::string TlsErrorText(Connection& connection, const ErrorCode& ec) {
  std::string text = ec.message();
  if (text.ends_with(" (SSL routines)")) text.resize(text.size() - std::strlen(" (SSL routines)"));
  const long verdict = SSL_get_verify_result(connection.tls()->native_handle());
  if (verdict != X509_V_OK) text += fmt::format(": {}", X509_verify_cert_error_string(verdict));
  return text;
}

}  // namespace picket::net
