// SPDX-License-Identifier: Apache-2.0
// The OTLP payloads of other projects, when they are at hand: PICKET_CONFORMANCE names the folder
// that holds otlp/.
#include <simdjson.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "picket_source_dir.h"
#include "tests/collectors/otlp/fixture.h"

namespace picket::collectors::otlp {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {(std::istreambuf_iterator<char>(in)), {}};
}

class ConformanceTest : public OtlpTest {
 protected:
  void SetUp() override {
    const char* set = std::getenv("PICKET_CONFORMANCE");
    folder = fs::path(set ? set : PICKET_SOURCE_DIR "/../shared/conformance") / "otlp";
    if (!fs::exists(folder)) GTEST_SKIP() << "no OTLP payloads at " << folder;
    StartCollector();
  }
  void Check(const std::string& name, bool ok, const std::string& why) {
    ++total;
    passed += ok;
    if (!ok) std::printf("failing: %s: %s\n", name.c_str(), why.c_str());
    EXPECT_TRUE(ok) << name << ": " << why;
  }
  void Expect(const std::string& name, const Answer& answer, int status) {
    Check(name, answer.status == status,
          "answered " + std::to_string(answer.status) + " " + answer.body + answer.message);
  }
  fs::path folder;
  int passed = 0, total = 0;
  const net::HttpHeaders json{{"Content-Type", "application/json"}};
  const net::HttpHeaders protobuf{{"Content-Type", "application/x-protobuf"}};
};

TEST_F(ConformanceTest, OtlpPayloads) {
  Expect("examples/trace.json", Http(ReadAll(folder / "examples/trace.json"), json), 200);
  Check("examples/trace.json arrives", sink->spans == 1, "no span arrived");
  // Requests of other signals: not enabled on their own path, named as wrong on ours.
  for (const char* file : {"examples/logs.json", "examples/events.json", "examples/metrics.json"}) {
    const std::string signal = fs::path(file).stem() == "metrics" ? "metrics" : "logs";
    Expect(std::string(file) + " on its path", Http(ReadAll(folder / file), json, "/v1/" + signal),
           404);
    Expect(std::string(file) + " on traces", Http(ReadAll(folder / file), json), 400);
  }
  for (const auto& entry : fs::directory_iterator(folder / "requests"))
    Expect("requests/" + entry.path().filename().string() + " on traces",
           Http(ReadAll(entry.path()), json), 400);
  for (const auto& entry : fs::directory_iterator(folder / "wire"))
    Expect("wire/" + entry.path().filename().string() + " on traces",
           Http(ReadAll(entry.path()), protobuf), 400);

  simdjson::dom::parser parser;
  simdjson::dom::element cases;
  ASSERT_EQ(parser.load((folder / "json-cases/traces.json").string()).get(cases),
            simdjson::SUCCESS);
  for (const auto& [name, value] : simdjson::dom::object(cases)) {
    simdjson::dom::element input, error;
    ASSERT_EQ(value["input"].get(input), simdjson::SUCCESS);
    const bool fails = value["expected_error"].get(error) == simdjson::SUCCESS;
    const std::string text = simdjson::minify(input);
    Expect("json-cases/traces.json " + std::string(name), Http(text, json), fails ? 400 : 200);
  }
  for (const std::string& body : sink->bodies) {
    test::ExportTraceServiceRequest decoded;
    Check("what was accepted is protobuf", decoded.ParseFromString(body), "not decodable");
  }
  std::printf("otlp: %d of %d passed\n", passed, total);
}

}  // namespace
}  // namespace picket::collectors::otlp
