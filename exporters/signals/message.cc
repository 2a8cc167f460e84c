// SPDX-License-Identifier: Apache-2.0
#include "exporters/signals/message.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <ctime>
#include <string_view>

#include "core/base/strings.h"

namespace picket::exporters::signals {
namespace {

std::string Hex(const unsigned char* bytes, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

void Member(std::string& out, std::string_view name, std::string_view text) {
  out += out.empty() ? '{' : ',';
  AppendJsonQuoted(out, name);
  out += ':';
  AppendJsonQuoted(out, text);
}

}  // namespace

std::string Rfc3339(UnixMs ms) {
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
  return fmt::format("{}.{:03}Z", text, ms % 1000);
}

std::string MessageJson(const RolloutSignal& s) {
  std::string out;
  Member(out, "canary", s.canary);
  Member(out, "rollout_id", s.rollout_id);
  Member(out, "action", s.action);
  Member(out, "verdict", VerdictName(s.verdict));
  Member(out, "reason", s.reason);
  Member(out, "decided_at", Rfc3339(s.decided_at_ms));
  out += ",\"evidence\":";
  out += s.evidence_json.empty() ? "{}" : s.evidence_json;
  out += '}';
  return out;
}

std::string IdempotencyKey(const RolloutSignal& s) {
  const std::string text = s.canary + '\0' + s.rollout_id + '\0' + s.action;
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return "picket-" + Hex(digest, 16);
}

std::string Signature(const std::string& secret, int64_t unix_seconds, const std::string& body) {
  const std::string text = fmt::format("{}.{}", unix_seconds, body);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return fmt::format("t={},v1={}", unix_seconds, Hex(digest, size));
}

std::vector<std::pair<std::string, std::string>> MessageEnv(const RolloutSignal& s) {
  return {{"PICKET_CANARY", s.canary},
          {"PICKET_ROLLOUT_ID", s.rollout_id},
          {"PICKET_ACTION", s.action},
          {"PICKET_VERDICT", std::string(VerdictName(s.verdict))},
          {"PICKET_REASON", s.reason},
          {"PICKET_DECIDED_AT", Rfc3339(s.decided_at_ms)},
          {"PICKET_EVIDENCE", s.evidence_json.empty() ? "{}" : s.evidence_json},
          {"PICKET_IDEMPOTENCY_KEY", IdempotencyKey(s)}};
}

}  // namespace picket::exporters::signals
