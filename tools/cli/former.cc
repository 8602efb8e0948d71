#include "tools/cli/former.h"

#include <boost/asio/io_context.hpp>
#include <optional>

#include "dht/asio/node_host.h"

namespace wow {
namespace {

// A node that died is on the ring until its neighbours have noticed: idle ones need five seconds.
constexpr Duration kLookFor = 8s;
constexpr Duration kLookAgain = 500ms;
constexpr int kMissedMin = 3;        // looks in a row, of a ring that we may see in parts at first
constexpr Duration kPatience = 30s;  // until a member has answered

// One look after another; `end` gets the answer.
class Search {
 public:
  Search(NodeHost& host, const Address& node, std::function<void(Former)> end)
      : host_(host), node_(node), end_(std::move(end)), timer_(host.clock()) {}

  void look() {
    const TimePoint now = host_.clock().now();
    if (now - began_ >= kPatience) return end_(Former::kUnknown);
    timer_.after(kLookAgain, [this] { look(); });
    if (!host_.node().joined() || host_.node().alone()) return;
    if (!joined_) joined_ = now;
    host_.node().locate(node_, [this](std::optional<Address> nearest) {
      if (!nearest) return;
      missed_ = *nearest == node_ ? 0 : missed_ + 1;
      if (missed_ >= kMissedMin) return end_(Former::kGone);
      if (missed_ == 0 && host_.clock().now() - *joined_ >= kLookFor) end_(Former::kElsewhere);
    });
  }

 private:
  NodeHost& host_;
  const Address node_;
  std::function<void(Former)> end_;
  Timer timer_;
  TimePoint began_ = host_.clock().now();
  std::optional<TimePoint> joined_;
  int missed_ = 0;
};

}  // namespace

Former look_for(const Address& node, const std::filesystem::path& directory) {
  boost::asio::io_context io;
  NodeHostOptions options;
  options.directory = directory;
  options.lan = true;
  auto host = NodeHost::open(io.get_executor(), options);
  if (!host) return Former::kUnknown;
  Former found = Former::kUnknown;
  // Who only asked leaves nothing behind.
  const std::string own_key = "node/" + (*host)->node().address().hex();
  Search search(**host, node, [&](Former said) {
    found = said;
    if (said != Former::kGone) return io.stop();
    (*host)->dht().remove(own_key, [&](auto) { io.stop(); });
  });
  (*host)->start();
  search.look();
  io.run();
  (*host)->stop();
  return found;
}

}  // namespace wow
