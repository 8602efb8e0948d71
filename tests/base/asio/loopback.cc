#include "tests/base/asio/loopback.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace wow {

void bring_loopback_up() {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  ioctl(fd, SIOCGIFFLAGS, &request);
  request.ifr_flags |= IFF_UP;
  ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
}

}  // namespace wow
