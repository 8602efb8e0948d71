#include "nat/port_choice.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace wow {
namespace {

std::vector<Endpoint> seen_at(const std::vector<int>& ports) {
  std::vector<Endpoint> out;
  for (const int port : ports)
    out.push_back({*IpAddress::parse("203.0.113.1"), static_cast<std::uint16_t>(port)});
  return out;
}

PortReport of(const std::vector<int>& ports) { return port_report(seen_at(ports)); }

TEST(PortChoice, OneAfterTheOtherIsAStep) {
  const auto report = of({40000, 40001, 40002});
  EXPECT_EQ(report.choice, PortChoice::kStepping);
  EXPECT_EQ(report.step, 1);
  EXPECT_EQ(report.outside.port, 40002);
  EXPECT_EQ(of({40004, 40002, 40000}).step, -2);
}

TEST(PortChoice, OthersBehindTheNatMayHaveMadeMappingsBetween) {
  EXPECT_EQ(of({40000, 40003, 40004}).step, 1);
  EXPECT_EQ(of({40000, 40002, 40010}).step, 2);
}

TEST(PortChoice, WhatTurnsRoundOrIsFarIsRandom) {
  EXPECT_EQ(of({40000, 40001, 40000}).choice, PortChoice::kRandom);
  EXPECT_EQ(of({40000, 40001, 40001 + kPortStepMax + 1}).choice, PortChoice::kRandom);
  EXPECT_EQ(of({1024, 65535, 1030}).choice, PortChoice::kRandom);
  EXPECT_EQ(of({40000, 40000, 40001}).choice, PortChoice::kRandom);
}

TEST(PortChoice, TooLittleOrSeveralAddressesTellNothing) {
  EXPECT_EQ(of({40000, 40001}).choice, PortChoice::kUnknown);
  auto seen = seen_at({40000, 40001, 40002});
  seen[1].ip = *IpAddress::parse("203.0.113.2");
  EXPECT_EQ(port_report(seen).choice, PortChoice::kUnknown);
}

TEST(PortChoice, RandomPortsAreHardlyEverTakenForSteps) {
  SeededRandom random(1);
  int wrong = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::vector<int> ports;
    for (int k = 0; k < 3; ++k) ports.push_back(1024 + static_cast<int>(random.below(64512)));
    wrong += of(ports).choice != PortChoice::kRandom;
  }
  EXPECT_LE(wrong, 2);
}

}  // namespace
}  // namespace wow
