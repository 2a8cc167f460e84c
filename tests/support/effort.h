// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace picket {

/// `rounds`, or a quarter of them under a sanitizer, where each takes many times as long. The
/// rounds of a random test differ, so fewer of them are a smaller sample, not another test.
constexpr int Rounds(int rounds) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return (rounds + 3) / 4;
#else
  return rounds;
#endif
}

}  // namespace picket
