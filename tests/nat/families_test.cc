#include "nat/families.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

std::vector<Endpoint> list(std::initializer_list<const char*> texts) {
  std::vector<Endpoint> out;
  for (const char* text : texts) out.push_back(*Endpoint::parse(text));
  return out;
}

TEST(InterleaveFamilies, TheyTakeTurnsAndKeepTheirOrder) {
  EXPECT_EQ(interleave_families(list(
                {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "[2001:db8::1]:1", "[2001:db8::2]:1"})),
            list({"10.0.0.1:1", "[2001:db8::1]:1", "10.0.0.2:1", "[2001:db8::2]:1", "10.0.0.3:1"}));
  EXPECT_EQ(interleave_families(list({"[2001:db8::1]:1", "[2001:db8::2]:1", "10.0.0.1:1"})),
            list({"[2001:db8::1]:1", "10.0.0.1:1", "[2001:db8::2]:1"}));
}

TEST(InterleaveFamilies, OneFamilyStaysAsItIs) {
  const auto four = list({"10.0.0.1:1", "10.0.0.2:1"});
  EXPECT_EQ(interleave_families(four), four);
  EXPECT_TRUE(interleave_families({}).empty());
}

}  // namespace
}  // namespace wow
