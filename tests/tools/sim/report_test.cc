#include "tools/sim/report.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tools/sim/internet.h"

namespace wow {
namespace {

TEST(Report, TellsWhatWasMissed) {
  Report report;
  report.at_most("whole after", 7.5, 8, "s");
  report.at_least("routable", 0.99991, 0.9999);
  report.note("sent", 120, "B");
  EXPECT_TRUE(report.met());
  report.at_most("noticed after", kNever, 5, "s");
  EXPECT_FALSE(report.met());
  EXPECT_EQ(report.table(),
            "what           wanted       measured\n"
            "whole after    <= 8 s       7.5 s\n"
            "routable       >= 0.999900  0.999910\n"
            "sent           -            120 B\n"
            "noticed after  <= 5 s       never  MISSED\n");
  EXPECT_NE(report.json().find("{\"what\":\"noticed after\",\"measured\":null,\"unit\":\"s\","
                               "\"at_most\":5,\"met\":false}"),
            std::string::npos);
}

TEST(Report, OfSeveralSeedsTheWorstCounts) {
  Report all, one, other;
  one.at_most("time", 1, 5);
  one.at_least("part", 0.9, 0.5);
  other.at_most("time", 3, 5);
  other.at_least("part", 0.7, 0.5);
  all.merge(one);
  all.merge(other);
  all.merge(one);
  EXPECT_EQ(all.figures()[0].measured, 3);
  EXPECT_EQ(all.figures()[1].measured, 0.7);
}

TEST(Report, Quantiles) {
  EXPECT_EQ(quantile({5, 1, 3, 2, 4}, 0.5), 3);
  EXPECT_EQ(quantile({5, 1, 3, 2, 4}, 1), 5);
  EXPECT_EQ(quantile({}, 0.5), 0);
  EXPECT_EQ(mean_of({1, 2, 6}), 3);
}

TEST(Chart, AxesEndAtRoundNumbersAndTextIsEscaped) {
  const std::string curve = svg(distribution("times", "seconds < 5 & more", {1, 2, 4.2}));
  EXPECT_NE(curve.find("seconds &lt; 5 &amp; more"), std::string::npos);
  EXPECT_NE(curve.find(">5</text>"), std::string::npos);
  EXPECT_NE(curve.find("polyline"), std::string::npos);
  const std::string bars = svg(histogram("hops", "hops", {1, 2, 2, 3}));
  std::size_t drawn = 0;
  for (std::size_t at = 0; (at = bars.find("fill=\"#26a\"", at + 1)) != std::string::npos;) ++drawn;
  EXPECT_EQ(drawn, 3u);
  EXPECT_NE(svg(Chart{}).find("</svg>"), std::string::npos);
}

TEST(Internet, IsSymmetricAndHasALongTail) {
  Internet internet(1);
  std::vector<double> ms;
  for (std::uint32_t a = 0; a < 100; ++a) {
    for (std::uint32_t b = 0; b < a; ++b) {
      EXPECT_EQ(internet.latency(a, b), internet.latency(b, a));
      ms.push_back(to_seconds(internet.latency(a, b)) * 1000);
    }
  }
  EXPECT_GT(quantile(ms, 0.02), 1);
  EXPECT_GT(quantile(ms, 0.5), 30);
  EXPECT_LT(quantile(ms, 0.5), 100);
  EXPECT_GT(quantile(ms, 0.99), 120);
  EXPECT_EQ(Internet(1).latency(7, 9), internet.latency(7, 9));
  EXPECT_NE(Internet(2).latency(7, 9), internet.latency(7, 9));
}

TEST(LatencyMatrix, IsReadOrRefused) {
  const auto matrix = LatencyMatrix::parse("0 10 20\n10 0 30.5\n\n20 30.5 0\n");
  EXPECT_EQ(matrix.size(), 3u);
  EXPECT_EQ(matrix.latency(1, 2), 30500us);
  EXPECT_EQ(matrix.latency(4, 5), 30500us);
  for (const char* bad :
       {"", "0 1\n1 0 2\n", "0 1\n", "0 x\n1 0\n", "0 -1\n1 0\n", "0 1\n1 0\n1 1\n"})
    EXPECT_THROW(LatencyMatrix::parse(bad), std::runtime_error) << bad;
  EXPECT_THROW(LatencyMatrix::read("/nonexistent"), std::runtime_error);
}

}  // namespace
}  // namespace wow
