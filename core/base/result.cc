// SPDX-License-Identifier: Apache-2.0
#include "core/base/result.h"

#include <fmt/format.h>

#include <system_error>

namespace picket {

std::string_view ErrorKindName(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return "invalid argument";
    case ErrorKind::kNotFound:
      return "not found";
    case ErrorKind::kIo:
      return "i/o";
    case ErrorKind::kTimeout:
      return "timeout";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kOverloaded:
      return "overloaded";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kLimit:
      return "limit";
    case ErrorKind::kInternal:
      return "internal";
  }
  return "unknown";
}

std::string Error::ToString() const {
  std::string out;
  const Position& p = data_->position;
  if (!p.file.empty()) out += p.file + ":";
  if (p.line > 0) out += fmt::format("{}:{}:", p.line, p.column);
  if (!out.empty()) out += ' ';
  for (auto it = data_->context.rbegin(); it != data_->context.rend(); ++it) out += *it + ": ";
  out += data_->message;
  return out;
}

Error ErrnoError(std::string_view what, int errno_value) {
  const ErrorKind kind = errno_value == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo;
  return Error(kind, fmt::format("{}: {}", what, std::generic_category().message(errno_value)));
}

}  // namespace picket
