// SPDX-License-Identifier: Apache-2.0
#include "core/net/gzip.h"

#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace picket::net {
namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};
struct FreeCompressor {
  void operator()(libdeflate_compressor* c) const { libdeflate_free_compressor(c); }
};

libdeflate_decompressor* Decompressor() {
  thread_local std::unique_ptr<libdeflate_decompressor, FreeDecompressor> kept(
      libdeflate_alloc_decompressor());
  return kept.get();
}

constexpr size_t kSmallest = 1024;

// The last member's size modulo 2^32, not to be trusted beyond what DEFLATE can reach (1032:1).
size_t SizeHint(std::string_view gzip) {
  uint32_t size = 0;
  if (gzip.size() >= 18) std::memcpy(&size, gzip.data() + gzip.size() - 4, 4);
  return std::max<size_t>(std::min<size_t>(size, gzip.size() * 1032), kSmallest);
}

Error OverLimit(uint64_t limit) {
  return Error(ErrorKind::kLimit,
               fmt::format("decompressed body is over the limit of {} bytes", limit));
}

}  // namespace

Status GzipDecode(std::string_view compressed, uint64_t limit, BodyBuffer& out) {
  if (limit == 0) limit = SIZE_MAX / 4;
  out.Clear();
  out.Reserve(std::min<uint64_t>(SizeHint(compressed), limit));
  std::string_view rest = compressed;
  while (!rest.empty()) {
    const size_t room = std::min<uint64_t>(out.capacity(), limit) - out.size();
    size_t in = 0, made = 0;
    const auto result = libdeflate_gzip_decompress_ex(Decompressor(), rest.data(), rest.size(),
                                                      out.data() + out.size(), room, &in, &made);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
      if (out.capacity() >= limit) return Fail(OverLimit(limit));
      out.Reserve(std::min<uint64_t>(std::max(out.capacity() * 2, kSmallest), limit));
      continue;
    }
    if (result != LIBDEFLATE_SUCCESS)
      return Fail(ErrorKind::kCorrupt, "gzip body is damaged or cut short");
    out.SetSize(out.size() + made);
    rest.remove_prefix(in);
  }
  return {};
}

std::string GzipEncode(std::string_view bytes, int level) {
  const std::unique_ptr<libdeflate_compressor, FreeCompressor> compressor(
      libdeflate_alloc_compressor(std::clamp(level, 1, 12)));
  const size_t bound = libdeflate_gzip_compress_bound(compressor.get(), bytes.size());
  std::string out;
  out.resize_and_overwrite(bound, [&](char* to, size_t n) {
    return libdeflate_gzip_compress(compressor.get(), bytes.data(), bytes.size(), to, n);
  });
  return out;
}

}  // namespace picket::net
