// SPDX-License-Identifier: Apache-2.0
// A folder of logs, a collector on a clock that stands still, and a backend that answers when told
// to.
#pragma once
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collectors/logs/tailer.h"

namespace picket::collectors::logs {

/// Takes lines and keeps them until the test says what became of them.
class Backend : public LogSink {
 public:
  void OnLogs(const LogBatch& batch) override {
    Batch b;
    for (const LogRecord& r : batch.records) {
      Entry e{batch.stream->labels_text, std::string(batch.Line(r)), r.time_ns, {}};
      for (uint32_t i = 0; i < r.attribute_count; ++i) {
        const LogAttribute& a = batch.attributes[r.first_attribute + i];
        e.metadata[std::string(a.name)] = a.value;
      }
      b.bytes += r.length;
      b.entries.push_back(std::move(e));
    }
    b.hold = Receipt::Hold(batch.receipt);
    held_ += b.bytes;
    if (auto_accept)
      Deliver(b);
    else
      waiting.push_back(std::move(b));
  }
  uint64_t HeldBytes() const override { return held_; }

  struct Entry {
    std::string labels, line;
    UnixNs time_ns;
    std::map<std::string, std::string> metadata;
  };
  struct Batch {
    std::vector<Entry> entries;
    Receipt::Hold hold;
    uint64_t bytes = 0;
  };
  void AcceptAll() {
    while (!waiting.empty()) Accept(0);
  }
  void Accept(size_t index) {
    Deliver(waiting[index]);
    waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(index));
  }
  /// What was held goes away without an answer, as at a crash.
  void Vanish() {
    waiting.clear();
    held_ = 0;
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> out;
    for (const Entry& e : delivered) out.push_back(e.line);
    return out;
  }

  bool auto_accept = true;
  std::vector<Entry> delivered;
  std::deque<Batch> waiting;

 private:
  void Deliver(Batch& b) {
    for (Entry& e : b.entries) delivered.push_back(std::move(e));
    held_ -= b.bytes;
    b.hold.Settle();
  }
  uint64_t held_ = 0;
};

class TailerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "picket_logs_XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    std::filesystem::create_directories(root_ + "/logs");
    config_.files = {Path("*.log")};
    config_.format = Format::kPlain;
    config_.start_at = StartAt::kBeginning;
    backend_ = std::make_shared<Backend>();
  }
  void TearDown() override {
    tailer_.reset();
    std::filesystem::remove_all(root_);
  }

  std::string Path(const std::string& name) const { return root_ + "/logs/" + name; }

  // --- what a program does with its log
  void Append(const std::string& name, const std::string& text) {
    std::ofstream(Path(name), std::ios::app | std::ios::binary) << text;
  }
  void Rename(const std::string& from, const std::string& to) {
    std::filesystem::rename(Path(from), Path(to));
  }
  void Delete(const std::string& name) { std::filesystem::remove(Path(name)); }
  void CopyTruncate(const std::string& name, const std::string& copy) {
    if (!copy.empty()) std::filesystem::copy_file(Path(name), Path(copy));
    std::filesystem::resize_file(Path(name), 0);
  }

  // --- the agent's life
  void Start() {
    Environment env;
    env.clock = &clock_;
    env.balances = &balances_;
    env.telemetry = &telemetry_;
    env.intake = intake_;
    env.folder = root_ + "/state";
    env.read_ahead = read_ahead_;
    env.own_logs = {Path("picket.log")};
    env.own_pod = "picket-x7k";
    auto made = Tailer::Make(env);
    ASSERT_TRUE(made) << made.error().ToString();
    tailer_ = *std::move(made);
    Reload();
  }
  void Reload() {
    std::vector<Destination> destinations = {{"loki", backend_}};
    destinations.insert(destinations.end(), more_.begin(), more_.end());
    auto applied = tailer_->Apply({config_}, destinations, {});
    ASSERT_TRUE(applied) << applied.error().ToString();
  }
  /// What kill -9 leaves: nothing is written after it, and what the backend held is gone.
  void Crash() {
    tailer_.reset();
    backend_->Vanish();
    for (auto& d : more_) static_cast<Backend&>(*d.sink).Vanish();
  }
  void Stop() {
    tailer_->StopReading();
    tailer_->Step();
    tailer_->Close();
    tailer_.reset();
    backend_->Vanish();
  }
  /// Turns until nothing moves, then time passes.
  void Run(Duration pass = std::chrono::seconds(1)) {
    clock_.Advance(pass);
    for (int i = 0; i < 1000 && tailer_->Step() == Duration::zero(); ++i) {
    }
    for (int i = 0; i < 4; ++i) tailer_->Step();
  }
  void ExpectLines(const std::vector<std::string>& lines) {
    EXPECT_THAT(backend_->Lines(), ::testing::ElementsAreArray(lines));
  }
  static std::vector<std::string> Numbered(int from, int to, const std::string& prefix = "line ") {
    std::vector<std::string> out;
    for (int i = from; i < to; ++i) out.push_back(prefix + std::to_string(i));
    return out;
  }
  static std::string Text(const std::vector<std::string>& lines) {
    std::string out;
    for (const std::string& l : lines) out += l + "\n";
    return out;
  }
  Balance::Snapshot BalanceOf(const std::string& instance) const {
    for (auto& s : balances_.Read())
      if (s.component == "logs" && s.instance == instance) return s;
    return {};
  }

  std::string root_;
  ManualClock clock_;
  BalanceBook balances_;
  Telemetry telemetry_;
  MetricIntake* intake_ = nullptr;
  LogsConfig config_;
  Bytes read_ahead_ = 8_MiB;
  std::shared_ptr<Backend> backend_;
  std::vector<Destination> more_;
  std::unique_ptr<Tailer> tailer_;
};

}  // namespace picket::collectors::logs
