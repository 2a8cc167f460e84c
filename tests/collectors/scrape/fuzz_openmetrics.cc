// SPDX-License-Identifier: Apache-2.0
#include "tests/collectors/scrape/fuzz_exposition.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket::collectors::scrape;
  FuzzBodies({reinterpret_cast<const char*>(data), size}, Format::kOpenMetrics);
  return 0;
}
