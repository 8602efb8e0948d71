#include "base/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

namespace wow {
namespace {

TEST(Metrics, AReaderAddsTheSlotsUp) {
  Metrics metrics;
  MetricSlot& a = metrics.add_slot();
  MetricSlot& b = metrics.add_slot();
  a.add(Metric::kDropForged);
  b.add(Metric::kDropForged, 4);
  b.add(Metric::kBytesIn, 1000);
  EXPECT_EQ(metrics.total(Metric::kDropForged), 5u);
  EXPECT_EQ(metrics.total(Metric::kBytesIn), 1000u);
  EXPECT_EQ(metrics.total(Metric::kBytesOut), 0u);
  EXPECT_EQ(a.get(Metric::kDropForged), 1u);
}

TEST(Metrics, ThreadsCountInTheirOwnSlots) {
  Metrics metrics;
  const auto count = [&] {
    MetricSlot& slot = metrics.add_slot();
    for (int i = 0; i < 10000; ++i) slot.add(Metric::kFramesIn);
  };
  std::thread a(count), b(count);
  a.join();
  b.join();
  EXPECT_EQ(metrics.total(Metric::kFramesIn), 20000u);
}

// Prometheus names: https://prometheus.io/docs/concepts/data_model/
TEST(Metrics, EveryCounterHasANameOfItsOwnAndAHelpText) {
  std::set<std::string_view> names;
  for (const MetricInfo& info : kMetricInfos) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_TRUE(std::all_of(info.name.begin(), info.name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || c == '_';
    })) << info.name;
    EXPECT_FALSE(info.help.empty());
  }
}

}  // namespace
}  // namespace wow
