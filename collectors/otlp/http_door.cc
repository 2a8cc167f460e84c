// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/http_door.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "collectors/otlp/encoding.h"
#include "collectors/otlp/json.h"
#include "collectors/otlp/metrics.h"

namespace picket::collectors::otlp {
namespace {

using proto::RpcCode;

constexpr std::string_view kProtobuf = "application/x-protobuf";
constexpr std::string_view kJson = "application/json";

/// "Application/JSON; charset=utf-8" -> application/json, or empty if it is neither of the two.
std::string_view MediaType(std::string_view value) {
  value = value.substr(0, value.find(';'));
  while (value.ends_with(' ')) value.remove_suffix(1);
  for (std::string_view known : {kProtobuf, kJson})
    if (net::EqualsNoCase(value, known)) return known;
  return {};
}

int HttpStatus(const PushAnswer& answer) {
  if (answer.too_large) return 413;
  switch (answer.status.code) {
    case RpcCode::kOk:
      return 200;
    case RpcCode::kInvalidArgument:
      return 400;
    case RpcCode::kUnauthenticated:
      return 401;
    case RpcCode::kPermissionDenied:
      return 403;
    case RpcCode::kUnimplemented:
    case RpcCode::kNotFound:
      return 404;
    case RpcCode::kResourceExhausted:
      return 429;
    default:
      return proto::IsRetryable(answer.status.code, false) ? 503 : 500;
  }
}

net::HttpReply Render(const PushAnswer& answer, std::string_view media_type) {
  const bool json = media_type == kJson;
  net::HttpReply reply;
  reply.status = HttpStatus(answer);
  reply.headers.Set("Content-Type", std::string(json ? kJson : kProtobuf));
  if (answer.ok())
    reply.body = json ? proto::TraceExportResponseJson(answer.partial)
                      : proto::EncodeExportResponse(answer.partial);
  else
    reply.body = json ? proto::RpcStatusJson(answer.status) : proto::EncodeRpcStatus(answer.status);
  if (answer.status.retry_delay) {
    // Whole seconds, rounded up: 0 would be "at once".
    const auto seconds = std::max<int64_t>(1, (answer.status.retry_delay->count() + 999) / 1000);
    reply.headers.Set("Retry-After", std::to_string(seconds));
  }
  return reply;
}

}  // namespace

/// What the handlers hold; they may outlive the door by a request in flight.
struct HttpDoor::Shared {
  std::shared_ptr<TraceReceiver> receiver;
  std::shared_ptr<Counter> accepted, refused, invalid, bytes;

  net::Admit LookAtHead(const net::HttpRequestHead& head) const;
  net::HttpReply Take(net::HttpServerRequest request) const;
  static net::asio::awaitable<net::HttpReply> Answer(std::shared_ptr<Shared> self,
                                                     net::HttpServerRequest request) {
    co_return self->Take(std::move(request));
  }
  PushAnswer Push(net::HttpServerRequest& request, bool json) const;
};

/// Everything that the head alone decides.
net::Admit HttpDoor::Shared::LookAtHead(const net::HttpRequestHead& head) const {
  net::Admit admit;
  if (head.method != "POST") {
    admit.refusal = net::HttpReply::Text(405, "405 method not allowed, supported: [POST]");
    admit.refusal->headers.Set("Allow", "POST");
    return admit;
  }
  const std::string_view type = MediaType(head.headers.Get("Content-Type"));
  if (type.empty()) {
    admit.refusal = net::HttpReply::Text(
        415, "415 unsupported media type, supported: [application/json, application/x-protobuf]");
    return admit;
  }
  if (!KnowsEncoding(head.headers.Get("Content-Encoding"))) {
    admit.refusal = net::HttpReply::Text(
        415, "415 unsupported content encoding, supported: [gzip, deflate, zstd, identity]");
    return admit;
  }
  auto lease = receiver->Admit(head.content_length);
  if (!lease) {
    refused->Add();
    admit.refusal = Render(lease.error(), type);
  } else {
    admit.hold = *std::move(lease);
  }
  return admit;
}

PushAnswer HttpDoor::Shared::Push(net::HttpServerRequest& request, bool json) const {
  auto lease = std::static_pointer_cast<BudgetLease>(std::move(request.hold));
  const uint64_t limit = receiver->options().max_request_bytes;
  auto body = Decompress(request.content_encoding, std::move(request.body), limit);
  if (!body) {
    return body.error().kind() == ErrorKind::kLimit
               ? receiver->TooLarge()
               : TraceReceiver::Refuse(RpcCode::kInvalidArgument, body.error().message());
  }
  bytes->Add(body->size());
  if (!json) return receiver->Push(*std::move(body), std::move(lease));
  auto traces = TracesFromJson(*body);
  if (!traces) return TraceReceiver::Refuse(RpcCode::kInvalidArgument, traces.error().message());
  return receiver->Push(std::move(traces->body), std::move(lease), traces->rejected);
}

net::HttpReply HttpDoor::Shared::Take(net::HttpServerRequest request) const {
  const std::string_view type = MediaType(request.headers.Get("Content-Type"));
  const PushAnswer answer = Push(request, type == kJson);
  const auto& counter = answer.ok()                                     ? accepted
                        : proto::IsRetryable(answer.status.code, false) ? refused
                                                                        : invalid;
  counter->Add();
  return Render(answer, type);
}

HttpDoor::HttpDoor(net::Runtime& runtime, const OtlpConfig& config,
                   std::shared_ptr<TraceReceiver> receiver, Telemetry& telemetry)
    : shared_(std::make_shared<Shared>()), server_(runtime, [&] {
        net::HttpServerOptions options;
        options.listen = config.http;
        options.web = config.web;
        options.name = "otlp";
        options.body_limit = config.max_request_size.value;
        return options;
      }()) {
  shared_->receiver = std::move(receiver);
  const auto count = [&](const char* answer) {
    return telemetry.AddCounter(kRequests, {{"transport", "http"}, {"answer", answer}});
  };
  shared_->accepted = count("accepted");
  shared_->refused = count("refused");
  shared_->invalid = count("invalid");
  shared_->bytes = telemetry.AddCounter(kRequestBytes, {{"transport", "http"}});

  net::HttpRoute traces;
  traces.method = "*";
  traces.path = "/v1/traces";
  traces.decode_gzip = false;  // done here, into one piece of the right size
  // Above the limit of ours, so that it is ours that answers, with a Status; far above it the
  // server says 413 in text.
  traces.body_limit = config.max_request_size.value / 4 * 5;
  traces.admit = [shared = shared_](const net::HttpRequestHead& head) {
    return shared->LookAtHead(head);
  };
  traces.handler = [shared = shared_](net::HttpServerRequest request) {
    return Shared::Answer(shared, std::move(request));
  };
  server_.Route(std::move(traces));

  for (const char* signal : {"metrics", "logs"}) {
    net::HttpRoute route;
    route.method = "*";
    route.path = fmt::format("/v1/{}", signal);
    route.admit = [signal](const net::HttpRequestHead& head) {
      const std::string_view type = MediaType(head.headers.Get("Content-Type"));
      net::Admit admit;
      admit.refusal = Render(
          TraceReceiver::Refuse(RpcCode::kUnimplemented,
                                fmt::format("OTLP {} are not enabled here; /v1/traces is", signal)),
          type.empty() ? kProtobuf : type);
      return admit;
    };
    route.handler = [](net::HttpServerRequest) -> net::asio::awaitable<net::HttpReply> {
      co_return net::HttpReply::Text(404, "not enabled");
    };
    server_.Route(std::move(route));
  }
  server_.Observe(telemetry);
}

Status HttpDoor::Start() { return server_.Start(); }

}  // namespace picket::collectors::otlp
