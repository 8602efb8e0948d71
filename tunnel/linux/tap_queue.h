// One queue of a TAP and what the kernel does for frames on it (linux/if_tun.h). Not owned here.
#pragma once

#include <cstddef>

namespace wow {

struct TapQueue {
  int fd = -1;                      // non-blocking; -1: none
  std::size_t frame_bytes_max = 0;  // the MTU and the Ethernet header
  // Frames have a vnet header in front: checksums may be left to us, and TCP segments come and go
  // together.
  bool vnet_header = false;
  bool udp_segments = false;  // UDP datagrams too (kernel 6.2)
};

}  // namespace wow
