// SPDX-License-Identifier: Apache-2.0
// What a peer may send before anything is trusted: the heads of both sides, a chunked body, a URL,
// a gzip body.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/net/gzip.h"
#include "core/net/http_server.h"
#include "core/net/internal/chunked.h"
#include "core/net/internal/http_head.h"
#include "core/net/url.h"

using namespace picket;
using namespace picket::net;

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

// However the bytes are cut, the joined body and its end are the same.
void CheckChunked(std::string_view bytes) {
  constexpr uint64_t kLimit = 1 << 16;
  BodyBuffer whole;
  whole.Append(bytes);
  ChunkedDecoder at_once(kLimit);
  const bool fine = at_once.Feed(whole, 0).has_value();
  BodyBuffer pieces;
  ChunkedDecoder stepwise(kLimit);
  bool step_fine = true;
  size_t used = 0;
  for (; used < bytes.size() && step_fine && !stepwise.done(); ++used) {
    const size_t payload = stepwise.payload_end();
    pieces.Append(bytes.substr(used, 1));
    step_fine = stepwise.Feed(pieces, payload).has_value();
  }
  Require(fine == step_fine && at_once.done() == stepwise.done());
  if (!fine) return;
  Require(whole.view().substr(0, at_once.payload_end()) ==
          pieces.view().substr(0, stepwise.payload_end()));
  if (at_once.done()) Require(whole.view().substr(at_once.payload_end()) == bytes.substr(used));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const size_t end = FindHeadEnd(bytes); end != std::string_view::npos) {
    const auto request = ParseRequestHead(bytes.substr(0, end));
    // One reading of where the body ends, and nothing that could be written back as more than one
    // line.
    if (request) {
      Require(!(request->chunked && request->content_length));
      for (const HttpField& f : request->headers) Require(IsToken(f.name) && IsFieldValue(f.value));
    }
    const auto response = ParseResponseHead(bytes.substr(0, end), false);
    if (response) Require(!(response->chunked && response->content_length));
    CheckChunked(bytes.substr(end));
  }
  CheckChunked(bytes);
  if (const auto url = Url::Parse(bytes)) {
    const auto again = Url::Parse(url->ToString());
    Require(again && again->Origin() == url->Origin() && again->target == url->target);
    Require(url->Resolve(bytes.substr(0, 64)).has_value() || true);
  }
  ParseQuery(bytes);
  BodyBuffer plain;
  const Status unpacked = GzipDecode(bytes, 1 << 16, plain);
  Require(!unpacked || plain.size() <= (1 << 16));
  return 0;
}
