// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace picket {

/// What went wrong, coarse enough to act on.
enum class ErrorKind : uint8_t {
  kInvalidArgument,  ///< the input is wrong; trying again will not help
  kNotFound,
  kIo,  ///< the operating system or a socket said no
  kTimeout,
  kCorrupt,  ///< bytes that were once good are not
  kUnsupported,
  kOverloaded,  ///< refused for want of room; try again later
  kCancelled,
  kLimit,     ///< a configured limit was exceeded; the message names it
  kInternal,  ///< a bug of ours
};
std::string_view ErrorKindName(ErrorKind kind);

/// A place in a text. Shape: line and column start at 1; 0 means unknown.
struct Position {
  std::string file;
  int line = 0;
  int column = 0;
};

/// One failure with its place and the chain of what was being done. Cost: one pointer; allocates
/// only when made.
class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message)
      : data_(std::make_unique<Data>(Data{kind, std::move(message), {}, {}, {}})) {}
  Error(const Error& o) : data_(std::make_unique<Data>(*o.data_)) {}
  Error(Error&&) noexcept = default;
  Error& operator=(const Error& o) {
    data_ = std::make_unique<Data>(*o.data_);
    return *this;
  }
  Error& operator=(Error&&) noexcept = default;

  ErrorKind kind() const { return data_->kind; }
  const std::string& message() const { return data_->message; }
  const Position& position() const { return data_->position; }
  const std::string& remedy() const { return data_->remedy; }

  Error& At(Position p) & { return data_->position = std::move(p), *this; }
  Error&& At(Position p) && { return data_->position = std::move(p), std::move(*this); }
  /// One sentence that says what to do about it.
  Error&& Remedy(std::string text) && { return data_->remedy = std::move(text), std::move(*this); }
  /// Adds what was being done, outermost last: "loading rules.yml".
  Error&& Context(std::string what) && {
    return data_->context.push_back(std::move(what)), std::move(*this);
  }

  /// "file:line:column: outer: inner: message".
  std::string ToString() const;

 private:
  struct Data {
    ErrorKind kind;
    std::string message;
    Position position;
    std::string remedy;
    std::vector<std::string> context;
  };
  std::unique_ptr<Data> data_;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> Fail(ErrorKind kind, std::string message) {
  return std::unexpected<Error>(Error(kind, std::move(message)));
}
inline std::unexpected<Error> Fail(Error error) { return std::unexpected<Error>(std::move(error)); }
/// Errors of the system: "open /x: No such file or directory".
Error ErrnoError(std::string_view what, int errno_value);

}  // namespace picket

#define PICKET_CONCAT_(a, b) a##b
#define PICKET_CONCAT(a, b) PICKET_CONCAT_(a, b)
/// PICKET_TRY(expr): returns the error of a Status or Result from this function.
#define PICKET_TRY(expr)                                                           \
  do {                                                                             \
    if (auto picket_try_ = (expr); !picket_try_)                                   \
      return ::std::unexpected<::picket::Error>(::std::move(picket_try_).error()); \
  } while (false)
/// PICKET_ASSIGN(auto x, expr): binds the value or returns the error.
#define PICKET_ASSIGN(lhs, expr) PICKET_ASSIGN_(PICKET_CONCAT(picket_r_, __LINE__), lhs, expr)
#define PICKET_ASSIGN_(tmp, lhs, expr)                                           \
  auto tmp = (expr);                                                             \
  if (!tmp) return ::std::unexpected<::picket::Error>(::std::move(tmp).error()); \
  lhs = *::std::move(tmp)
/// The same inside a coroutine.
#define PICKET_CO_TRY(expr)                                                           \
  do {                                                                                \
    if (auto picket_try_ = (expr); !picket_try_)                                      \
      co_return ::std::unexpected<::picket::Error>(::std::move(picket_try_).error()); \
  } while (false)
#define PICKET_CO_ASSIGN(lhs, expr) PICKET_CO_ASSIGN_(PICKET_CONCAT(picket_r_, __LINE__), lhs, expr)
#define PICKET_CO_ASSIGN_(tmp, lhs, expr)                                           \
  auto tmp = (expr);                                                                \
  if (!tmp) co_return ::std::unexpected<::picket::Error>(::std::move(tmp).error()); \
  lhs = *::std::move(tmp)
