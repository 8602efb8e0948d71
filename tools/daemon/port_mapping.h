// The daemon's side of the port mapper: hears what its process says, tells the node, and keeps the
// last word for `wow status`. Control thread only.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "nat/linux/port_mapper.h"

namespace wow {

class PortMapping {
 public:
  // Where the mapped port can be reached from outside; nothing: nowhere (any more).
  using Tell = std::function<void(std::optional<Endpoint>)>;

  PortMapping(boost::asio::any_io_executor executor, std::unique_ptr<PortMapper> mapper,
              std::uint16_t port, Tell tell);
  ~PortMapping() { descriptor_.close(); }

  // The network has changed: another router may be in front of us.
  void renew() { mapper_->map(port_); }
  // "PCP: 198.51.100.21:4433", or why there is none.
  const std::string& state() const { return state_; }

 private:
  void wait();
  void read();

  std::unique_ptr<PortMapper> mapper_;
  const std::uint16_t port_;
  Tell tell_;
  std::string state_ = "asking";
  boost::asio::posix::stream_descriptor descriptor_;
};

}  // namespace wow
