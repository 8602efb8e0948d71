#include "tools/daemon/port_mapping.h"

#include <unistd.h>

#include "base/log.h"

namespace wow {

PortMapping::PortMapping(boost::asio::any_io_executor executor, std::unique_ptr<PortMapper> mapper,
                         std::uint16_t port, Tell tell)
    : mapper_(std::move(mapper)),
      port_(port),
      tell_(std::move(tell)),
      descriptor_(std::move(executor), dup(mapper_->fd())) {
  renew();
  wait();
}

void PortMapping::wait() {
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this](const boost::system::error_code& error) {
                           if (!error) read();
                         });
}

void PortMapping::read() {
  bool gone = false;
  while (const auto news = mapper_->read(&gone)) {
    if (news->way.empty()) {
      state_ = "none (" + news->why + ")";
      log_info("no port mapping", {{"port", port_}, {"why", news->why}});
      tell_(std::nullopt);
    } else if (news->outside.ip.is_private()) {
      state_ = news->way + ": " + news->outside.text() + ", behind another NAT";
      log_info("port mapped, but behind another NAT",
               {{"by", news->way}, {"outside", news->outside.text()}});
      tell_(std::nullopt);
    } else {
      state_ = news->way + ": " + news->outside.text();
      log_info("port mapped", {{"by", news->way}, {"outside", news->outside.text()}});
      tell_(news->outside);
    }
  }
  if (!gone) return wait();
  state_ = "none (the helper process ended)";
  log_warn("no port mapping", {{"port", port_}, {"why", "its helper process ended"}});
  tell_(std::nullopt);
}

}  // namespace wow
