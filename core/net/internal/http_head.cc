// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/http_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cstring>
#include <limits>

namespace picket::net {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;
using BeastView = boost::beast::string_view;

std::string ToString(BeastView v) { return std::string(v.data(), v.size()); }

// Takes the fields where Beast finds them; bodies never reach it.
template <bool kRequest>
class Parser final : public http::basic_parser<kRequest> {
 public:
  std::string method, target;
  int status = 0;
  int version = 11;
  HttpHeaders headers;
  bool other_coding = false;  // a Transfer-Encoding that is not exactly "chunked"
  int hosts = 0;
  int lengths = 0;

 private:
  void on_request_impl(http::verb, BeastView m, BeastView t, int v, ErrorCode&) override {
    method = ToString(m);
    target = ToString(t);
    version = v;
    headers.reserve(8);
  }
  void on_response_impl(int s, BeastView, int v, ErrorCode&) override {
    status = s;
    version = v;
    headers.reserve(8);
  }
  void on_field_impl(http::field f, BeastView name, BeastView value, ErrorCode&) override {
    if (f == http::field::host) ++hosts;
    if (f == http::field::content_length) ++lengths;
    if (f == http::field::transfer_encoding &&
        !EqualsNoCase({value.data(), value.size()}, "chunked"))
      other_coding = true;
    headers.Add(ToString(name), ToString(value));
  }
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, ErrorCode&) override {}
  size_t on_body_impl(BeastView body, ErrorCode&) override { return body.size(); }
  void on_chunk_header_impl(uint64_t, BeastView, ErrorCode&) override {}
  size_t on_chunk_body_impl(uint64_t, BeastView body, ErrorCode&) override { return body.size(); }
  void on_finish_impl(ErrorCode&) override {}
};

// Beast joins folded lines; a reader before us might not have, so they are refused.
bool HasFoldedLine(std::string_view head) {
  return head.find("\n ") != std::string_view::npos || head.find("\n\t") != std::string_view::npos;
}

// Feeds exactly the head. False with `ec` when it is not one.
template <bool kRequest>
bool Run(Parser<kRequest>& parser, std::string_view head, ErrorCode& ec) {
  parser.header_limit(std::numeric_limits<uint32_t>::max());
  parser.body_limit(boost::none);
  if (HasFoldedLine(head)) {
    ec = http::error::bad_obs_fold;
    return false;
  }
  parser.put(boost::asio::const_buffer(head.data(), head.size()), ec);
  if (ec == http::error::need_more) ec = http::error::bad_line_ending;
  if (!ec && !parser.is_header_done()) ec = http::error::bad_line_ending;
  return !ec;
}

template <bool kRequest>
void Fill(MessageHead& out, Parser<kRequest>& parser) {
  out.version = parser.version;
  out.headers = std::move(parser.headers);
  out.keep_alive = parser.keep_alive();
  out.chunked = parser.chunked();
  if (auto n = parser.content_length()) out.content_length = *n;
}

// "GET / HTTP/2.0": well-formed, but not ours to speak.
bool AsksForOtherVersion(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const std::string_view version = line.substr(line.rfind(' ') + 1);
  return std::count(line.begin(), line.end(), ' ') == 2 && version.size() == 8 &&
         version.starts_with("HTTP/") && version[6] == '.' && version[5] >= '0' &&
         version[5] <= '9' && version[7] >= '0' && version[7] <= '9';
}

HeadRefusal Refuse(int status, std::string why) { return {status, std::move(why)}; }

}  // namespace

size_t FindHeadEnd(std::string_view bytes, size_t from) {
  const size_t at = bytes.find("\r\n\r\n", from > 3 ? from - 3 : 0);
  return at == std::string_view::npos ? at : at + 4;
}

std::expected<RequestHead, HeadRefusal> ParseRequestHead(std::string_view head) {
  Parser<true> parser;
  ErrorCode ec;
  if (!Run(parser, head, ec)) {
    if (ec == http::error::bad_version && AsksForOtherVersion(head))
      return std::unexpected(Refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"));
    return std::unexpected(Refuse(400, fmt::format("malformed request: {}", ec.message())));
  }
  if (parser.version < 10 || parser.version > 11)
    return std::unexpected(Refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"));
  if (parser.other_coding)
    return std::unexpected(Refuse(501, "malformed request: Transfer-Encoding other than chunked"));
  if (parser.chunked() && parser.version == 10)
    return std::unexpected(Refuse(400, "malformed request: chunked body in HTTP/1.0"));
  if (parser.lengths > 1)
    return std::unexpected(Refuse(400, "malformed request: more than one Content-Length"));
  if (parser.hosts > 1 || (parser.hosts == 0 && parser.version == 11))
    return std::unexpected(Refuse(400, "malformed request: needs exactly one Host"));
  for (const HttpField& f : parser.headers)
    if (!IsFieldValue(f.value))
      return std::unexpected(Refuse(400, "malformed request: control character in " + f.name));
  RequestHead out;
  Fill(out, parser);
  out.method = std::move(parser.method);
  out.target = std::move(parser.target);
  out.expects_continue =
      out.version == 11 && EqualsNoCase(out.headers.Get("expect"), "100-continue");
  return out;
}

Result<ResponseHead> ParseResponseHead(std::string_view head, bool to_head) {
  Parser<false> parser;
  ErrorCode ec;
  parser.skip(to_head);
  if (!Run(parser, head, ec))
    return Fail(ErrorKind::kCorrupt, fmt::format("answer is not HTTP/1.1: {}", ec.message()));
  if (parser.other_coding)
    return Fail(ErrorKind::kCorrupt, "answer has a Transfer-Encoding other than chunked");
  ResponseHead out;
  out.status = parser.status;
  const bool bodiless = to_head || out.status / 100 == 1 || out.status == 204 || out.status == 304;
  out.until_close = !bodiless && parser.need_eof();
  Fill(out, parser);
  if (bodiless) {
    out.chunked = false;
    out.content_length = 0;
  }
  if (out.until_close) out.keep_alive = false;
  return out;
}

}  // namespace picket::net
