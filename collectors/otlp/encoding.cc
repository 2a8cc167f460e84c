// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/encoding.h"

#include <fmt/format.h>
#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace picket::collectors::otlp {
namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};

libdeflate_decompressor* Inflater() {
  static thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> inflater(
      libdeflate_alloc_decompressor());
  return inflater.get();
}

std::unexpected<Error> Damaged(std::string_view encoding) {
  return Fail(ErrorKind::kInvalidArgument, fmt::format("body is not valid {}", encoding));
}

std::unexpected<Error> OverLimit(uint64_t limit) {
  return Fail(ErrorKind::kLimit,
              fmt::format("body is larger than {} bytes after decompression", limit));
}

/// The last four bytes of a gzip member say its size modulo 2^32: exact for the usual single
/// member.
uint64_t GzipSizeHint(std::string_view body) {
  uint32_t size = 0;
  if (body.size() >= 18) std::memcpy(&size, body.data() + body.size() - 4, 4);
  return size;
}

/// One call decompresses one member into the free room behind `out`; the room doubles while it is
/// too small.
Result<std::string> InflateAll(std::string_view body, uint64_t limit, bool gzip) {
  const std::string_view name = gzip ? "gzip" : "deflate";
  libdeflate_decompressor* const inflater = Inflater();
  if (!inflater) return Fail(ErrorKind::kOverloaded, "no memory to decompress");
  // No claim of the sender's makes us take memory that its bytes could not fill (deflate is at most
  // 1032 to 1).
  const uint64_t most = std::min<uint64_t>(limit, uint64_t{body.size()} * 1032 + 64);
  std::string out;
  out.resize(std::min<uint64_t>(
      most, gzip ? std::max<uint64_t>(GzipSizeHint(body), 64) : uint64_t{body.size()} * 4 + 64));
  size_t done = 0;
  while (!body.empty()) {
    size_t used = 0;
    size_t made = 0;
    char* const to = out.data() + done;
    const size_t room = out.size() - done;
    const auto result = gzip ? libdeflate_gzip_decompress_ex(inflater, body.data(), body.size(), to,
                                                             room, &used, &made)
                             : libdeflate_zlib_decompress_ex(inflater, body.data(), body.size(), to,
                                                             room, &used, &made);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
      if (out.size() >= limit) return OverLimit(limit);
      if (out.size() >= most + 1024) return Damaged(name);
      out.resize(std::min<uint64_t>(limit, out.size() * 2));
      continue;
    }
    if (result != LIBDEFLATE_SUCCESS || used == 0) return Damaged(name);
    done += made;
    body.remove_prefix(used);
    if (!gzip) break;
  }
  out.resize(done);
  return out;
}

Result<std::string> Unzstd(std::string_view body, uint64_t limit) {
  static thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(
      ZSTD_createDCtx(), ZSTD_freeDCtx);
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  std::string out;
  size_t done = 0;
  size_t left = 1;
  while (in.pos < in.size || left != 0) {
    if (done == out.size()) {
      if (out.size() >= limit) return OverLimit(limit);
      out.resize(std::min<uint64_t>(limit, std::max<uint64_t>(body.size() * 4 + 64, done * 2)));
    }
    ZSTD_outBuffer piece{out.data(), out.size(), done};
    left = ZSTD_decompressStream(context.get(), &piece, &in);
    if (ZSTD_isError(left)) return Damaged("zstd");
    const bool stuck = in.pos == in.size && piece.pos < piece.size && left != 0;
    done = piece.pos;
    if (stuck) return Damaged("zstd");
  }
  out.resize(done);
  return out;
}

}  // namespace

bool KnowsEncoding(std::string_view e) {
  return e.empty() || e == "identity" || e == "none" || e == "gzip" || e == "x-gzip" ||
         e == "deflate" || e == "zstd";
}

Result<std::string> Decompress(std::string_view encoding, std::string body, uint64_t limit) {
  if (encoding == "gzip" || encoding == "x-gzip") return InflateAll(body, limit, true);
  if (encoding == "deflate") return InflateAll(body, limit, false);
  if (encoding == "zstd") return Unzstd(body, limit);
  if (!KnowsEncoding(encoding))
    return Fail(ErrorKind::kInvalidArgument, fmt::format("unknown encoding {}", encoding));
  if (body.size() > limit) return OverLimit(limit);
  return body;
}

}  // namespace picket::collectors::otlp
