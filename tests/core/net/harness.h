// SPDX-License-Identifier: Apache-2.0
// What the tests of core/net say: a server that echoes, a client, and raw bytes on a socket where a
// library would be too polite.
#pragma once
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "core/net/http_client.h"
#include "core/net/http_server.h"

namespace picket::net {

using namespace std::chrono_literals;

/// One blocking socket. Gives up after ten seconds so that a broken server fails the test instead
/// of hanging it.
class RawSocket {
 public:
  explicit RawSocket(int fd) : fd_(fd) { LimitWaiting(); }
  static RawSocket Connect(uint16_t port, int receive_buffer = 0) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return RawSocket(fd);
  }
  RawSocket(RawSocket&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  ~RawSocket() { Close(); }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void Reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  /// Until the other side closes.
  std::string ReadAll() {
    std::string out;
    for (char chunk[4096];;) {
      const ssize_t n = ::recv(fd_, chunk, sizeof chunk, 0);
      if (n <= 0) return out;
      out.append(chunk, static_cast<size_t>(n));
    }
  }
  std::string ReadUntil(std::string_view end) {
    std::string out;
    for (char c = 0; !out.ends_with(end) && ::recv(fd_, &c, 1, 0) == 1;) out += c;
    return out;
  }
  int fd() const { return fd_; }

 private:
  void LimitWaiting() {
    const timeval ten{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &ten, sizeof ten);
  }
  int fd_;
};

/// A server that says what it is told to: one function a connection, on its own thread.
class RawServer {
 public:
  explicit RawServer(std::vector<std::function<void(RawSocket&)>> connections) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    socklen_t size = sizeof at;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this, connections = std::move(connections)] {
      for (const auto& serve : connections) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) return;
        RawSocket socket(fd);
        serve(socket);
      }
    });
  }
  ~RawServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  /// Answers each request of one connection with these bytes, whatever was asked.
  static std::function<void(RawSocket&)> Says(std::string bytes) {
    return [bytes = std::move(bytes)](RawSocket& s) {
      s.ReadUntil("\r\n\r\n");
      s.Send(bytes);
    };
  }
  uint16_t port() const { return port_; }
  std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }

 private:
  int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "picket-net-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string Write(const std::string& name, std::string_view text) const {
    // Replaced by rename, as secrets are mounted: a reader sees the old or the new one, never half.
    const std::string to = path_ + "/" + name;
    std::ofstream(to + ".new", std::ios::binary) << text;
    std::filesystem::rename(to + ".new", to);
    return to;
  }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline asio::awaitable<HttpReply> EchoHandler(HttpServerRequest request) {
  std::string text = request.method + " " + request.path;
  if (!request.query.empty()) text += "?" + request.query;
  for (const auto& [key, value] : request.params) text += " {" + key + "=" + value + "}";
  if (!request.content_encoding.empty()) text += " encoding=" + request.content_encoding;
  if (!request.user.empty()) text += " user=" + request.user;
  text += "\n" + request.body;
  HttpReply reply;
  reply.headers.Add("Content-Type", "text/plain");
  for (const HttpField& f : request.headers) reply.headers.Add("Echo-" + f.name, f.value);
  reply.body = std::move(text);
  co_return reply;
}

/// A runtime, a server with an echo under /echo and what the test adds, and clients.
class NetTest : public testing::Test {
 protected:
  ~NetTest() override {
    server.reset();
    runtime.Stop();
  }
  HttpServer& Serve(HttpServerOptions options = {}, std::function<void(HttpServer&)> add = {}) {
    server = std::make_unique<HttpServer>(runtime, std::move(options));
    HttpRoute echo;
    echo.method = "*";
    echo.path = "/echo*";
    echo.handler = EchoHandler;
    server->Route(std::move(echo));
    if (add) add(*server);
    const Status started = server->Start();
    EXPECT_TRUE(started) << (started ? "" : started.error().ToString());
    return *server;
  }
  std::string url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(server->port()) + std::string(path);
  }
  static HttpRequest Get(std::string to) {
    HttpRequest request;
    request.url = std::move(to);
    return request;
  }
  Result<HttpResponse> Fetch(HttpRequest request, HttpClientConfig config = {}) {
    HttpClient client(runtime, std::move(config));
    return client.FetchBlocking(std::move(request));
  }

  Runtime runtime{2};
  std::unique_ptr<HttpServer> server;
};

inline std::string Said(const Result<HttpResponse>& r) {
  return r ? "status " + std::to_string(r->status) : r.error().ToString();
}

}  // namespace picket::net
