// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/base/units.h"
#include "core/config/node.h"
#include "core/model/labels.h"

/// The types a setting may have, erased to tables of functions so that parsing, printing and schema
/// are compiled once.
namespace picket::config {

class ObjectInfo;
template <class T>
class Object;

enum class Kind : uint8_t {
  kBool,
  kInteger,
  kFloat,
  kString,
  kDuration,
  kBytes,
  kSecret,
  kEnum,
  kCustom,  // scalars
  kLabels,
  kList,
  kMap,
  kOptional,
  kObject
};

/// How values of one C++ type are read, printed and walked. One static instance a type.
struct TypeInfo {
  Kind kind;
  std::string_view
      name;  ///< for people: "duration", "list of string" is put together from `element`
  // Scalars. Parse returns an empty string or what is wrong with the text.
  std::string (*parse)(std::string_view text, void* out) = nullptr;
  std::string (*format)(const void* value) = nullptr;
  long double (*number)(const void* value) = nullptr;  ///< for bounds: integers, floats, ms, bytes
  void (*set_enum)(void* out, int64_t value) = nullptr;
  int64_t (*get_enum)(const void* value) = nullptr;
  // Containers.
  const TypeInfo* (*element)() = nullptr;
  void* (*append)(void* container) = nullptr;                          ///< list, optional (engages)
  void* (*insert)(void* container, const std::string& key) = nullptr;  ///< map
  void (*clear)(void* container) = nullptr;
  size_t (*size)(const void* container) = nullptr;
  void (*each)(const void* container,
               const std::function<void(const std::string& key, const void* value)>& visit) =
      nullptr;
  // Objects.
  const ObjectInfo& (*object)() = nullptr;
  long double lowest = 0, highest = 0;  ///< of an integer
};

/// Specialise for a scalar type of your own: kName, `static Result<T> Parse(std::string_view)`,
/// `static std::string Format(const T&)`.
template <class T>
struct CustomScalar;

template <class T>
concept Declared = requires(Object<T>& o) { Declare(o); };
template <class T>
concept HasCustomScalar = requires { CustomScalar<T>::kName; };

template <class T>
const ObjectInfo& ObjectOf();
template <class T>
const TypeInfo* TypeOf();

namespace internal {

extern const TypeInfo kBoolType, kFloatType, kStringType, kMillisecondsType, kNanosecondsType,
    kSecondsType, kBytesType, kSecretType, kLabelsType;
std::string ParseInteger(std::string_view text, bool is_signed, long double low, long double high,
                         uint64_t* bits);

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T>> = true;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T, std::less<>>> = true;

/// The scalar or object inside lists, maps and optionals.
template <class T>
struct LeafOf {
  using type = T;
};
template <class T>
  requires(kIsVector<T> || kIsOptional<T>)
struct LeafOf<T> {
  using type = typename LeafOf<typename T::value_type>::type;
};
template <class T>
  requires kIsMap<T>
struct LeafOf<T> {
  using type = typename LeafOf<typename T::mapped_type>::type;
};

template <std::integral T>
const TypeInfo* IntegerType() {
  static const TypeInfo type = {
      .kind = Kind::kInteger,
      .name = "integer",
      .parse =
          [](std::string_view text, void* out) {
            uint64_t bits = 0;
            std::string wrong =
                ParseInteger(text, std::is_signed_v<T>, std::numeric_limits<T>::min(),
                             std::numeric_limits<T>::max(), &bits);
            if (wrong.empty()) *static_cast<T*>(out) = static_cast<T>(bits);
            return wrong;
          },
      .format = [](const void* v) { return std::to_string(*static_cast<const T*>(v)); },
      .number = [](const void* v) { return static_cast<long double>(*static_cast<const T*>(v)); },
      .lowest = std::numeric_limits<T>::min(),
      .highest = std::numeric_limits<T>::max()};
  return &type;
}

template <class T>
const TypeInfo* EnumType() {
  static const TypeInfo type = {
      .kind = Kind::kEnum,
      .name = "name",
      .set_enum = [](void* out, int64_t v) { *static_cast<T*>(out) = static_cast<T>(v); },
      .get_enum = [](const void* v) { return static_cast<int64_t>(*static_cast<const T*>(v)); }};
  return &type;
}

template <class T>
const TypeInfo* CustomType() {
  static const TypeInfo type = {
      .kind = Kind::kCustom,
      .name = CustomScalar<T>::kName,
      .parse = [](std::string_view text, void* out) -> std::string {
        Result<T> r = CustomScalar<T>::Parse(text);
        if (!r) return r.error().message();
        *static_cast<T*>(out) = *std::move(r);
        return {};
      },
      .format = [](const void* v) { return CustomScalar<T>::Format(*static_cast<const T*>(v)); }};
  return &type;
}

template <class T>
const TypeInfo* ListType() {
  using E = typename T::value_type;
  static_assert(!std::is_same_v<E, bool>, "std::vector<bool> has no addressable elements");
  static const TypeInfo type = {
      .kind = Kind::kList,
      .name = "list",
      .element = &TypeOf<E>,
      .append = [](void* c) -> void* { return &static_cast<T*>(c)->emplace_back(); },
      .clear = [](void* c) { static_cast<T*>(c)->clear(); },
      .size = [](const void* c) { return static_cast<const T*>(c)->size(); },
      .each =
          [](const void* c, const std::function<void(const std::string&, const void*)>& visit) {
            for (const E& e : *static_cast<const T*>(c)) visit({}, &e);
          }};
  return &type;
}

template <class T>
const TypeInfo* MapType() {
  static const TypeInfo type = {
      .kind = Kind::kMap,
      .name = "map",
      .element = &TypeOf<typename T::mapped_type>,
      .insert = [](void* c, const std::string& k) -> void* { return &(*static_cast<T*>(c))[k]; },
      .clear = [](void* c) { static_cast<T*>(c)->clear(); },
      .size = [](const void* c) { return static_cast<const T*>(c)->size(); },
      .each =
          [](const void* c, const std::function<void(const std::string&, const void*)>& visit) {
            for (const auto& [k, v] : *static_cast<const T*>(c)) visit(k, &v);
          }};
  return &type;
}

template <class T>
const TypeInfo* OptionalType() {
  static const TypeInfo type = {
      .kind = Kind::kOptional,
      .name = "optional",
      .element = &TypeOf<typename T::value_type>,
      .append = [](void* c) -> void* { return &static_cast<T*>(c)->emplace(); },
      .clear = [](void* c) { static_cast<T*>(c)->reset(); },
      .size = [](const void* c) -> size_t { return static_cast<const T*>(c)->has_value(); },
      .each =
          [](const void* c, const std::function<void(const std::string&, const void*)>& visit) {
            if (const T& o = *static_cast<const T*>(c)) visit({}, &*o);
          }};
  return &type;
}

template <class T>
const TypeInfo* ObjectType() {
  static const TypeInfo type = {.kind = Kind::kObject, .name = "object", .object = &ObjectOf<T>};
  return &type;
}

}  // namespace internal

template <class T>
const TypeInfo* TypeOf() {
  if constexpr (std::is_same_v<T, bool>)
    return &internal::kBoolType;
  else if constexpr (std::is_same_v<T, double>)
    return &internal::kFloatType;
  else if constexpr (std::is_same_v<T, std::string>)
    return &internal::kStringType;
  else if constexpr (std::is_same_v<T, Milliseconds>)
    return &internal::kMillisecondsType;
  else if constexpr (std::is_same_v<T, std::chrono::nanoseconds>)
    return &internal::kNanosecondsType;
  else if constexpr (std::is_same_v<T, std::chrono::seconds>)
    return &internal::kSecondsType;
  else if constexpr (std::is_same_v<T, Bytes>)
    return &internal::kBytesType;
  else if constexpr (std::is_same_v<T, Secret>)
    return &internal::kSecretType;
  else if constexpr (std::is_same_v<T, Labels>)
    return &internal::kLabelsType;
  else if constexpr (HasCustomScalar<T>)
    return internal::CustomType<T>();
  else if constexpr (std::integral<T>)
    return internal::IntegerType<T>();
  else if constexpr (std::is_enum_v<T>)
    return internal::EnumType<T>();
  else if constexpr (internal::kIsVector<T>)
    return internal::ListType<T>();
  else if constexpr (internal::kIsMap<T>)
    return internal::MapType<T>();
  else if constexpr (internal::kIsOptional<T>)
    return internal::OptionalType<T>();
  else
    return internal::ObjectType<T>();
}

}  // namespace picket::config
