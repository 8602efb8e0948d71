// Hears the kernel say that this virtual machine was cloned, or set back to a snapshot: the
// hypervisor gives it another generation ID then (ACPI "VM_Gen_Counter"), and the kernel's driver
// tells so by a uevent (not yet that of Debian 12). It does not at live migration. Where there is
// no such device or driver nothing is heard.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>

#include "base/bytes.h"

namespace wow {

// Whether a uevent ("ACTION@PATH", then NAME=VALUE, all with a zero behind) says it.
bool is_new_generation(ByteView uevent);

class GenerationWatch {
 public:
  // Null where uevents cannot be heard.
  static std::unique_ptr<GenerationWatch> open(boost::asio::any_io_executor executor,
                                               std::function<void()> changed);

 private:
  GenerationWatch(boost::asio::any_io_executor executor, int fd, std::function<void()> changed);
  void wait();
  void read();

  boost::asio::posix::stream_descriptor socket_;
  std::function<void()> changed_;
};

}  // namespace wow
