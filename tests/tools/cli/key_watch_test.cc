// The lines of `wow dht watch`: one for each change, and none else.
#include "tools/cli/key_watch.h"

#include <gtest/gtest.h>

namespace wow {
namespace {

namespace json = boost::json;

const KeyWatch::Time kNow{std::chrono::milliseconds(1'769'850'307'042)};

json::object held(const char* value, int version, const char* owner = "1a2b3c4d5e") {
  return {{"record", json::object{{"key", "k"},
                                  {"value", value},
                                  {"encoding", "text"},
                                  {"owner", owner},
                                  {"version", version},
                                  {"ttl", 60},
                                  {"age", 1}}}};
}
const json::object kFree{{"record", nullptr}};
const Error kUnavailable{ErrorCode::kUnavailable, "no majority"};

class Watch : public testing::Test {
 protected:
  // The event, and its value if it has one; empty if there was none.
  std::string look(const Result<json::object>& answer) {
    const auto event = watch_.update(answer, kNow);
    if (!event) return "";
    EXPECT_EQ(event->at("key"), "k");
    EXPECT_EQ(event->at("time"), "2026-01-31T09:05:07.042Z");
    const std::string name(event->at("event").as_string());
    return event->contains("value") ? name + " " + event->at("value").as_string().c_str() : name;
  }
  KeyWatch watch_{"k"};
};

TEST_F(Watch, SaysWhatIsThereAndEachChange) {
  EXPECT_EQ(look(held("a", 1)), "stored a");
  EXPECT_EQ(look(held("a", 1)), "");
  EXPECT_EQ(look(held("b", 2)), "stored b");
  EXPECT_EQ(look(held("b", 3)), "renewed b");
  EXPECT_EQ(look(held("b", 3, "another")), "stored b") << "of another owner";
  EXPECT_EQ(look(kFree), "free");
  EXPECT_EQ(look(kFree), "");
  EXPECT_EQ(look(held("b", 3, "another")), "stored b") << "again";
}

TEST_F(Watch, SaysOnceThatNobodyHasIt) {
  EXPECT_EQ(look(kFree), "free");
  EXPECT_EQ(look(kFree), "");
}

TEST_F(Watch, SaysOnceThatNobodyAnswersAndWhenSomebodyDoes) {
  EXPECT_EQ(look(kUnavailable), "unavailable");
  EXPECT_EQ(look(kUnavailable), "");
  EXPECT_EQ(look(held("a", 1)), "stored a") << "is news enough";
  EXPECT_EQ(look(kUnavailable), "unavailable");
  EXPECT_EQ(look(held("a", 1)), "available a");
  EXPECT_EQ(look(held("a", 1)), "");
  EXPECT_EQ(look(kUnavailable), "unavailable");
  EXPECT_EQ(look(kFree), "free");
}

TEST_F(Watch, ALineForPeopleHasTheTimeAndTheRecord) {
  const std::string line = watch_line(*watch_.update(held("a", 7), kNow), kNow);
  EXPECT_NE(line.find(".042  stored by 1a2b3c4d, version 7, for 59"), std::string::npos) << line;
  EXPECT_NE(line.find(": a"), std::string::npos) << line;
  const std::string last = watch_line(*watch_.update(kFree, kNow), kNow);
  EXPECT_TRUE(last.ends_with(".042  free")) << last;
}

}  // namespace
}  // namespace wow
