// A TAP interface: one descriptor per queue, gone when the process is (it is not persistent).
// Follows linux/Documentation/networking/tuntap.rst.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "tunnel/forwarding.h"
#include "tunnel/linux/tap_queue.h"

namespace wow {

// An interface's name has at most 15 bytes: a longer one is cut and ends with three digits of its
// hash.
std::string interface_name(const std::string& wanted);

class TapDevice {
 public:
  // `name` goes through interface_name(). The interface is made with its MAC address and MTU, down,
  // without an address; router advertisements and redirects are not believed on it. Errors say what
  // is missing and the cure.
  // kAll: what the kernel knows of checksum and segmentation offloads; what it does not know is
  // missed once in the log, and queues() says what was got.
  enum class Offloads { kNone, kAll };
  static Result<TapDevice> open(const std::string& name, const MacAddress& mac, int mtu, int queues,
                                Offloads offloads = Offloads::kNone);
  TapDevice(TapDevice&&) noexcept;
  TapDevice& operator=(TapDevice&&) = delete;
  ~TapDevice();

  const std::string& name() const { return name_; }
  int index() const { return index_; }
  // Non-blocking.
  const std::vector<int>& fds() const { return fds_; }
  std::vector<TapQueue> queues() const;

 private:
  TapDevice() = default;

  std::string name_;
  int index_ = 0;
  TapQueue kind_;  // of each queue, but for its descriptor
  std::vector<int> fds_;
};

}  // namespace wow
