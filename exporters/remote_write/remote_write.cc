// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/remote_write.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "exporters/remote_write/encoder.h"
#include "exporters/remote_write/transport.h"

namespace picket::exporters::remote_write {

namespace asio = boost::asio;

namespace {

constexpr uint16_t kMetadataLane = spool::kLanes - 1;

// Fit for a file name.
std::string Slug(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 64)) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    const bool upper = c >= 'A' && c <= 'Z';
    out += plain ? c : upper ? static_cast<char>(c - 'A' + 'a') : '_';
  }
  return fmt::format("{}-{:08x}", out, static_cast<uint32_t>(Hash64(text)));
}

// "http://user:secret@host:1/x?token=y" -> host:1/x
std::string HostAndPath(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != url.npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("?#"));
  const auto path = url.find('/');
  if (const auto user = url.substr(0, path).rfind('@'); user != url.npos)
    url.remove_prefix(user + 1);
  return std::string(url);
}

EncoderOptions EncoderOptionsOf(const RemoteWriteConfig& config,
                                const RemoteWriteContext& context) {
  EncoderOptions o;
  o.v2 = config.protobuf_message != Protocol::kV1;
  o.max_samples = static_cast<uint32_t>(config.queue_config.max_samples_per_send);
  o.direct_samples = std::max(1U, o.max_samples / 4);
  o.batches = static_cast<uint32_t>(std::min<int64_t>(config.queue_config.min_shards, 8));
  o.deadline = config.queue_config.batch_send_deadline;
  o.external_labels = context.external_labels;
  o.relabel = config.write_relabel_configs;
  o.clock = context.clock;
  o.telemetry = context.telemetry;
  o.name = config.name;
  return o;
}

}  // namespace

std::string DefaultName(const std::string& url) { return Slug(HostAndPath(url)); }

class RemoteWrite::Impl : public std::enable_shared_from_this<RemoteWrite::Impl> {
 public:
  Impl(RemoteWriteConfig config, RemoteWriteContext context)
      : config_(std::move(config)),
        context_(std::move(context)),
        executor_(context_.runtime->Next()),
        balance_(context_.balances->Open("remote_write", config_.name, "samples")),
        encoder_(EncoderOptionsOf(config_, context_),
                 [this](const EncodedRequest& r) { Queue(r); }),
        transport_(std::make_shared<HttpTransport>(*context_.runtime, config_, context_.version,
                                                   *context_.clock)) {
    const auto make = [this] {
      return context_.make_alarm ? context_.make_alarm(executor_)
                                 : spool::MakeAlarm(executor_, *context_.clock);
    };
    flush_alarm_ = make();
    metadata_alarm_ = make();
  }

  Status Open() {
    spool::SpoolOptions options = context_.spool;
    if (!options.directory.empty()) options.directory += "/" + Slug(config_.name);
    options.clock = context_.clock;
    options.telemetry = context_.telemetry;
    options.name = "remote_write " + config_.name;
    directory_ = options.directory;
    if (options.directory.empty()) {
      spool_ = spool::Spool::OpenMemory(std::move(options));
    } else {
      PICKET_ASSIGN(spool_, spool::Spool::OpenOrMemory(std::move(options)));
    }
    PICKET_ASSIGN(auto consumer, spool_->OpenConsumer("remote_write", balance_));
    spool::SenderOptions s;
    s.name = config_.name;
    s.max_in_flight = static_cast<uint32_t>(std::min<int64_t>(config_.queue_config.max_shards, 8));
    s.min_backoff = config_.queue_config.min_backoff;
    s.max_backoff = config_.queue_config.max_backoff;
    s.max_age = config_.queue_config.sample_age_limit;
    s.seed = context_.seed;
    s.clock = context_.clock;
    s.make_alarm = context_.make_alarm;
    s.telemetry = context_.telemetry;
    auto transport = transport_;
    sender_ = std::make_unique<spool::Sender>(
        executor_, std::move(consumer),
        [transport](spool::Outgoing out) { return transport->Send(std::move(out)); }, std::move(s),
        &SplitBody);
    return {};
  }

  void Start() {
    transport_->SetOnFallback([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->encoder_.UseV1();
    });
    encoder_.SetOnPending([weak = weak_from_this()](Duration deadline) {
      auto self = weak.lock();
      if (self) asio::post(self->executor_, [self, deadline] { self->Arm(deadline); });
    });
    sender_->Start();
    if (config_.metadata_config.send)
      asio::post(executor_, [self = shared_from_this()] { self->ArmMetadata(); });
  }

  asio::awaitable<void> Stop(Duration within) {
    encoder_.Flush(Duration::max(), true);
    co_await sender_->Stop(within);
    HaltAlarms();
  }

  void Close() {
    encoder_.Flush(Duration::max(), true);
    sender_.reset();
    spool_->Close();  // now, so that a destination made anew can open it
    HaltAlarms();
  }

  void OnRow(const SampleRow& row) {
    balance_->In(row.series.size());
    balance_->Drop(DropReason::kFiltered, encoder_.OnRow(row));
  }
  void OnTimed(SourceId source, std::span<const TimedSample> samples) {
    balance_->In(samples.size());
    balance_->Drop(DropReason::kFiltered, encoder_.OnTimed(source, samples));
  }

  Encoder& encoder() { return encoder_; }
  const RemoteWriteConfig& config() const { return config_; }
  const std::string& directory() const { return directory_; }
  Stats Read() const {
    Stats s;
    if (sender_) s.sender = sender_->Read();
    s.spool = spool_->Read();
    s.pending_samples = encoder_.pending();
    s.v2 = encoder_.v2();
    return s;
  }

 private:
  void HaltAlarms() {
    asio::post(executor_, [self = shared_from_this()] {
      self->stopped_ = true;
      self->flush_alarm_.reset();
      self->metadata_alarm_.reset();
    });
  }

  void Queue(const EncodedRequest& r) {
    const spool::RecordInfo info{r.type, r.lane, r.samples, context_.clock->NowMs()};
    auto status = spool_->Append(info, r.body);
    if (status) return;
    DropReason reason = DropReason::kDiskFull;
    if (status.error().kind() == ErrorKind::kInvalidArgument) reason = DropReason::kTooLarge;
    if (status.error().kind() == ErrorKind::kOverloaded && !spool_->Read().durable)
      reason = DropReason::kMemory;
    balance_->Drop(reason, r.samples, status.error().ToString());
  }

  void Arm(Duration deadline) {
    if (stopped_ || (armed_ && *armed_ <= deadline)) return;
    armed_ = deadline;
    flush_alarm_->Set(deadline, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self || self->stopped_) return;
      self->armed_.reset();
      if (auto next = self->encoder_.Flush(self->context_.clock->Steady())) self->Arm(*next);
    });
  }

  // v1 has no place for type and help beside the samples: they go out by themselves now and then.
  void ArmMetadata() {
    if (stopped_) return;
    metadata_alarm_->Set(context_.clock->Steady() + config_.metadata_config.send_interval,
                         [weak = weak_from_this()] {
                           auto self = weak.lock();
                           if (!self || self->stopped_) return;
                           self->SendMetadata();
                           self->ArmMetadata();
                         });
  }
  void SendMetadata() {
    // Old metadata is worth nothing: while the destination is down none is queued.
    if (encoder_.v2() || sender_->Read().consecutive_failures > 0) return;
    auto families = encoder_.Families();
    std::span<const std::shared_ptr<const MetricMetadata>> rest(families);
    const auto most = static_cast<size_t>(config_.metadata_config.max_samples_per_send);
    while (!rest.empty()) {
      const auto part = rest.first(std::min(most, rest.size()));
      rest = rest.subspan(part.size());
      if (auto s = spool_->Append({kRecordV1Metadata, kMetadataLane, 0, 0},
                                  Compress(EncodeMetadata(part)));
          !s)
        log::Warn("Metadata could not be queued",
                  {{"destination", config_.name}, {"error", s.error().ToString()}});
    }
  }

  static Result<std::vector<spool::Piece>> SplitBody(const spool::RecordInfo& info,
                                                     std::string_view body) {
    if (info.type == kRecordV1Metadata)
      return Fail(ErrorKind::kUnsupported, "metadata is not split");
    PICKET_ASSIGN(const std::string request, Uncompress(body));
    PICKET_ASSIGN(auto halves, SplitRequest(info.type, request));
    std::vector<spool::Piece> pieces;
    for (auto& [bytes, samples] : halves) {
      spool::RecordInfo part = info;
      part.items = samples;
      pieces.push_back({part, std::string(Compress(bytes))});
    }
    return pieces;
  }

  RemoteWriteConfig config_;
  RemoteWriteContext context_;
  asio::any_io_executor executor_;
  std::shared_ptr<Balance> balance_;
  std::string directory_;
  std::unique_ptr<spool::Spool> spool_;
  Encoder encoder_;
  std::shared_ptr<HttpTransport> transport_;
  std::unique_ptr<spool::Sender> sender_;
  // The rest belongs to the executor.
  std::unique_ptr<spool::Alarm> flush_alarm_, metadata_alarm_;
  std::optional<Duration> armed_;
  bool stopped_ = false;
};

RemoteWrite::RemoteWrite(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
RemoteWrite::~RemoteWrite() { impl_->Close(); }

Result<std::unique_ptr<RemoteWrite>> RemoteWrite::Make(RemoteWriteConfig config,
                                                       RemoteWriteContext context) {
  if (config.name.empty()) config.name = DefaultName(config.url);
  auto impl = std::make_shared<Impl>(std::move(config), std::move(context));
  PICKET_TRY(impl->Open());
  return std::unique_ptr<RemoteWrite>(new RemoteWrite(std::move(impl)));
}

void RemoteWrite::Start() { impl_->Start(); }
asio::awaitable<void> RemoteWrite::Stop(Duration within) {
  auto impl = impl_;
  co_await impl->Stop(within);
}
void RemoteWrite::OnSeries(SeriesId id, const Labels& labels,
                           const std::shared_ptr<const MetricMetadata>& metadata) {
  impl_->encoder().OnSeries(id, labels, metadata);
}
void RemoteWrite::OnSeriesGone(SeriesId id) { impl_->encoder().OnSeriesGone(id); }
void RemoteWrite::OnSourceGone(SourceId source) { impl_->encoder().OnSourceGone(source); }
void RemoteWrite::OnRow(const SampleRow& row) { impl_->OnRow(row); }
void RemoteWrite::OnTimed(SourceId source, std::span<const TimedSample> samples) {
  impl_->OnTimed(source, samples);
}
const std::string& RemoteWrite::name() const { return impl_->config().name; }
const std::string& RemoteWrite::directory() const { return impl_->directory(); }
std::string RemoteWrite::url() const { return HostAndPath(impl_->config().url); }
RemoteWrite::Stats RemoteWrite::Read() const { return impl_->Read(); }

}  // namespace picket::exporters::remote_write
