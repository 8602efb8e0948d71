// Notices that this virtual machine was cloned, or set back to a snapshot: the hypervisor gives it
// another generation ID then (ACPI "VM_Gen_Counter"), but not at live migration. QEMU shows the ID
// by its firmware's files, which the module qemu_fw_cfg has under /sys, whatever the kernel; they
// are looked at, since nothing tells of a change. The driver of Linux 6.8 alone tells it by a
// uevent; later ones keep it to themselves (commit 3aadf100f93d), and Debian 12's 6.1 has none.
// Where there is no such device nothing is noticed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"

namespace wow {

// Whether a uevent ("ACTION@PATH", then NAME=VALUE, all with a zero behind) says it.
bool is_new_generation(ByteView uevent);

// Where the ID is to be seen, and how often that is looked at.
struct GenerationFile {
  std::string path = "/sys/firmware/qemu_fw_cfg/by_name/etc/vmgenid_guid/raw";
  Duration every = 1s;
};

class GenerationWatch {
 public:
  // To be called as root, for only root may open the file. Null where there is nothing to see or
  // to hear. `changed` is called on the executor after each change.
  static std::unique_ptr<GenerationWatch> open(boost::asio::any_io_executor executor,
                                               std::function<void()> changed,
                                               const GenerationFile& file = {});
  ~GenerationWatch();

 private:
  explicit GenerationWatch(boost::asio::any_io_executor executor);
  void wait();
  void read_events();
  void look_later();
  void look();
  std::optional<Bytes> present() const;

  boost::asio::posix::stream_descriptor socket_;  // of uevents
  boost::asio::steady_timer timer_;
  std::function<void()> changed_;
  int file_ = -1;
  Duration every_{};
  std::optional<Bytes> seen_;
};

}  // namespace wow
