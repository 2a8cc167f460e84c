// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/config.h"

#include "core/config/object.h"

namespace picket::store::tsdb {

void Declare(config::Object<TsdbConfig>& o) {
  o.Doc("The node's memory of samples, which rules, SLOs, canaries and the query API read.");
  o.Field("retention", &TsdbConfig::retention,
          "How long samples are kept; 0 keeps them until max_bytes.")
      .Min(Milliseconds(0));
  o.Field("max_bytes", &TsdbConfig::max_bytes,
          "Most bytes of the store, on disk and in memory; the oldest samples go first. 0 is no "
          "limit.");
  o.Field("max_series", &TsdbConfig::max_series,
          "Most series known at a time; new ones beyond it are refused while known ones go on. 0 "
          "is no limit.");
}

}  // namespace picket::store::tsdb
