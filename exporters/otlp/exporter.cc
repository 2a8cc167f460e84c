// SPDX-License-Identifier: Apache-2.0
#include "exporters/otlp/exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/proto/otlp_traces.h"
#include "exporters/otlp/batcher.h"

namespace picket::exporters::otlp {
namespace {

/// What a record's body is: an ExportTraceServiceRequest.
constexpr uint16_t kTracesRecord = 1;

/// Spans have no order among requests, so lanes only say how many records may be out at once: few
/// large ones (each is a request of its own), many small ones (they are joined).
constexpr uint32_t kLargeLanes = 4;
constexpr size_t kLargeRecord = 256 << 10;

/// "Tempo:4317" as a consumer's name: [a-z0-9_.-]+, and different for different names.
std::string ConsumerName(const std::string& name) {
  std::string out;
  for (char c : name) {
    const auto u = static_cast<unsigned char>(c);
    out.push_back(std::isalnum(u) || c == '.' || c == '-' ? static_cast<char>(std::tolower(u))
                                                          : '_');
  }
  return out == name ? out : fmt::format("{}-{:08x}", out, static_cast<uint32_t>(Hash64(name)));
}

Result<std::vector<spool::Piece>> SplitInHalf(const spool::RecordInfo& info,
                                              std::string_view body) {
  std::vector<spool::Piece> pieces;
  if (info.items < 2) return pieces;
  for (auto& part : proto::SplitTraces(body, body.size() / 2 + 1)) {
    spool::RecordInfo piece = info;
    piece.items = part.spans;
    pieces.push_back({piece, std::move(part.bytes)});
  }
  // One huge span beside small ones may keep the size; apart they still are.
  if (pieces.size() < 2) pieces.clear();
  return pieces;
}

}  // namespace

struct OtlpExporter::Impl {
  struct Destination {
    std::string name;
    std::shared_ptr<Balance> balance;
    std::shared_ptr<Batcher> batcher;
    std::unique_ptr<spool::Sender> sender;
    net::asio::any_io_executor where;
  };

  explicit Impl(OtlpExporterDeps d)
      : deps(std::move(d)), tasks(std::make_shared<net::Tasks>(deps.runtime)) {}

  Status Add(const OtlpExporterConfig& config);
  Status AppendPart(std::string_view bytes, uint32_t spans);
  uint16_t NextLane(size_t bytes);

  OtlpExporterDeps deps;
  std::unique_ptr<spool::Spool> spool;
  std::shared_ptr<GrpcPoller> poller;
  std::shared_ptr<net::Tasks> tasks;
  std::vector<Destination> destinations;
  uint64_t max_bytes = UINT64_MAX;  ///< the smallest of the destinations'
  std::atomic<uint32_t> next_lane{0};
};

Status OtlpExporter::Impl::Add(const OtlpExporterConfig& config) {
  PICKET_ASSIGN(const Target target, TargetOf(config));
  Destination d;
  d.name = config.name.empty() ? config.endpoint : config.name;
  d.where = deps.runtime.Next();
  d.balance = deps.balances.Open("exporters.otlp", d.name, "spans");
  std::unique_ptr<Client> client;
  if (target.grpc) {
    if (!poller) poller = MakeGrpcPoller();
    PICKET_ASSIGN(client, MakeGrpcClient(config, target, poller));
  } else {
    client = MakeHttpClient(config, target, deps.runtime, deps.clock);
  }
  d.batcher = std::make_shared<Batcher>(d.where, tasks, std::move(client), config.batch,
                                        config.concurrency);
  PICKET_ASSIGN(auto consumer, spool->OpenConsumer(ConsumerName(d.name), d.balance));
  spool::SenderOptions options;
  options.name = "otlp " + d.name;
  options.max_in_flight = spool::kLanes;  // records; the batcher limits requests
  options.min_backoff = config.retry.min_backoff;
  options.max_backoff = config.retry.max_backoff;
  options.max_age = config.retry.max_age;
  options.clock = &deps.clock;
  options.telemetry = &deps.telemetry;
  d.sender = std::make_unique<spool::Sender>(
      d.where, std::move(consumer),
      [batcher = d.batcher](spool::Outgoing out) { return batcher->Send(out); }, options,
      SplitInHalf);
  max_bytes = std::min(max_bytes, config.batch.max_bytes.value);
  destinations.push_back(std::move(d));
  return {};
}

Result<std::shared_ptr<OtlpExporter>> OtlpExporter::Open(std::vector<OtlpExporterConfig> configs,
                                                         OtlpExporterDeps deps) {
  auto impl = std::make_unique<Impl>(std::move(deps));
  impl->deps.spool.clock = &impl->deps.clock;
  impl->deps.spool.telemetry = &impl->deps.telemetry;
  impl->deps.spool.name = "otlp";
  if (impl->deps.spool.directory.empty()) {
    impl->spool = spool::Spool::OpenMemory(impl->deps.spool);
  } else {
    PICKET_ASSIGN(impl->spool, spool::Spool::OpenOrMemory(impl->deps.spool));
  }
  for (const OtlpExporterConfig& config : configs) {
    if (auto added = impl->Add(config); !added)
      return Fail(std::move(added).error().Context("exporters.otlp " + config.endpoint));
  }
  impl->spool->RetireDrained();
  return std::shared_ptr<OtlpExporter>(new OtlpExporter(std::move(impl)));
}

OtlpExporter::OtlpExporter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

OtlpExporter::~OtlpExporter() {
  // Senders end their flights first, then the requests that carried them, then the thread that
  // answers come in on.
  for (auto& d : impl_->destinations) {
    d.sender.reset();
    d.batcher->Close();
  }
  impl_->tasks->Stop();
  impl_->destinations.clear();
  impl_->poller.reset();
}

uint16_t OtlpExporter::Impl::NextLane(size_t bytes) {
  const uint32_t turn = next_lane.fetch_add(1, std::memory_order_relaxed);
  if (bytes >= kLargeRecord) return static_cast<uint16_t>(turn % kLargeLanes);
  return static_cast<uint16_t>(kLargeLanes + turn % (spool::kLanes - kLargeLanes));
}

Status OtlpExporter::Impl::AppendPart(std::string_view bytes, uint32_t spans) {
  spool::RecordInfo info;
  info.type = kTracesRecord;
  info.lane = NextLane(bytes.size());
  info.items = spans;
  info.time_ms = deps.clock.NowMs();
  // Before the append, so that a fast sender's Out never precedes it; taken back if it did not
  // happen.
  for (const auto& d : destinations) d.balance->In(spans);
  Status appended = spool->Append(info, bytes);
  if (!appended)
    for (const auto& d : destinations) d.balance->In(uint64_t{0} - spans);
  return appended;
}

Admission OtlpExporter::OnSpans(const SpanSlab& slab) {
  Status appended;
  if (slab.bytes->size() <= impl_->max_bytes) {
    appended = impl_->AppendPart(slab.view(), slab.spans);
  } else {
    for (const auto& part : proto::SplitTraces(slab.view(), impl_->max_bytes)) {
      appended = impl_->AppendPart(part.bytes, part.spans);
      if (!appended) break;
    }
  }
  if (appended) return {};
  Admission refused;
  refused.verdict = Admission::Verdict::kRetry;
  refused.retry_after = std::chrono::seconds(5);
  refused.message = "spool: " + appended.error().message();
  return refused;
}

void OtlpExporter::Start() {
  for (auto& d : impl_->destinations) d.sender->Start();
}

void OtlpExporter::Stop(Duration within) {
  net::Tasks stopping(impl_->deps.runtime);
  for (auto& d : impl_->destinations)
    stopping.Start(d.where, "stop otlp " + d.name, d.sender->Stop(within));
  stopping.WaitFor(within + std::chrono::seconds(5));
  for (auto& d : impl_->destinations) d.batcher->Close();
  impl_->tasks->Stop();
  // Doors may hold this exporter for a moment longer: what they bring now is told to come back, and
  // an exporter made anew can open the queue.
  impl_->spool->Close();
}

std::vector<OtlpExporter::State> OtlpExporter::Read() const {
  std::vector<State> states;
  for (const auto& d : impl_->destinations) states.push_back({d.name, d.sender->Read()});
  return states;
}

std::vector<spool::Spool::Unread> OtlpExporter::Removed() const { return impl_->spool->Closed(); }

spool::Spool::Stats OtlpExporter::ReadSpool() const { return impl_->spool->Read(); }

}  // namespace picket::exporters::otlp
