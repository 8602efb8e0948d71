// A member that says in its sessions what its node never would.
#pragma once

#include <cstdint>

#include "overlay/node.h"
#include "proto/headers.h"
#include "proto/overlay.pb.h"
#include "tools/sim/sim_pool.h"

namespace wow {

class HostileMember {
 public:
  explicit HostileMember(SimNode& node) : node_(node) {}

  // Bytes as routed or control packets, in an open session.
  void send(const SimNode& to, DataKind kind, ByteView bytes) {
    node_->sessions().send(to.address(), kind, bytes);
  }
  // Newer than whatever the node itself has told.
  void send_link(const SimNode& to, pb::Link link) {
    link.set_number(1'000'000 + messages_);
    const std::string bytes = link.SerializeAsString();
    Bytes packet(MessageHeader::kBytes);
    MessageHeader header;
    header.service = static_cast<std::uint8_t>(Service::kLink);
    header.message = ++messages_;
    header.write(packet.data());
    packet.insert(packet.end(), bytes.begin(), bytes.end());
    send(to, DataKind::kControl, packet);
  }

 private:
  SimNode& node_;
  std::uint16_t messages_ = 1000;
};

}  // namespace wow
