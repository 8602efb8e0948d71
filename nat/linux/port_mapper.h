// Asks the router in front of us to pass a UDP port on to us: by PCP (RFC 6887), else NAT-PMP
// (RFC 6886, libnatpmp), else UPnP IGD (miniupnpc). What such devices answer is hostile until
// proven otherwise, and the libraries wait for it: so it is done in processes of their own, with
// bounds on memory and time, which nothing that the device says outlives. The mapping is renewed at
// half of its life and when the router says that it has restarted, and removed when the owner ends,
// however it ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/endpoint.h"
#include "base/error.h"

namespace wow {

class PortMapper {
 public:
  struct News {
    std::string way;   // "PCP", "NAT-PMP", "UPnP"; empty: no mapping
    Endpoint outside;  // maybe private, behind a second NAT
    std::string why;   // without a mapping: what was tried, in words
  };

  // Forks: call it before threads are made. `drop`: run in the child before anything else, to give
  // up privileges.
  static Result<std::unique_ptr<PortMapper>> start(const std::function<void()>& drop = {});
  // Asks the child to remove the mapping and to end; waits 2 s at most.
  ~PortMapper();

  // Wants UDP `port` mapped from now on, anew even if it is already: for a changed network, too.
  void map(std::uint16_t port);
  // Becomes readable when there are news, or the child is gone.
  int fd() const { return fd_; }
  // The next, without waiting; nothing if there is none. `gone` is set when there will be no more.
  std::optional<News> read(bool* gone = nullptr);

 private:
  PortMapper(int fd, pid_t child) : fd_(fd), child_(child) {}

  int fd_;
  pid_t child_;
};

}  // namespace wow
