// Messages of services over sessions: cut into pieces that fit a packet, put together again, and
// kept for a while if the session is still being opened. The loss of a piece loses the message.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "overlay/hub.h"
#include "proto/headers.h"

namespace wow {

class Messages {
 public:
  using Deliver = std::function<void(const Address& from, std::uint8_t service, ByteView message)>;
  Messages(Hub& hub, Deliver deliver)
      : hub_(hub),
        deliver_(std::move(deliver)),
        next_message_(static_cast<std::uint16_t>(hub.random.u32())) {}

  // In an open session at once, else when it opens. At most Node::kMessageBytesMax.
  void send(const Address& to, std::uint8_t service, ByteView message,
            Answer answer = Answer::kExpected);
  // A frame that the path does not carry whole (RFC 8200, 5 wants that of links), in an open
  // session: a message of Service::kFrame, | facts 1 | frame |, whose pieces count as frames.
  void send_frame(const Address& to, ByteView frame, std::uint8_t facts);
  void on_open(const Address& peer);
  // Its session ended: half-received messages are forgotten.
  void on_closed(const Address& peer) { forget(peer); }
  // It could not be reached: what waits for it is dropped and counted.
  void give_up(const Address& peer);
  void on_piece(const Address& from, ByteView packet);
  // Every now and then: forgets messages that stay incomplete or unsent.
  void sweep();

  std::size_t partial_bytes() const { return partial_bytes_; }
  std::size_t outbox_bytes() const { return outbox_bytes_; }

 private:
  struct Waiting {
    std::uint8_t service;
    Bytes message;
    TimePoint since{};
  };
  struct Outbox {
    std::deque<Waiting> messages;
    std::size_t bytes = 0;
  };
  struct Partial {
    std::uint8_t service = 0;
    std::uint16_t message = 0;
    std::vector<Bytes> pieces;
    std::size_t missing = 0;
    std::size_t bytes = 0;
    TimePoint begun{};
  };

  bool is_open(const Address& peer) const;
  void transmit(const Address& to, std::uint8_t service, ByteView message, Answer answer);
  void transmit_pieces(std::uint8_t service, ByteView message,
                       const std::function<void(ByteView piece)>& out);
  void stage(const Address& to, std::uint8_t service, ByteView message);
  void drop_oldest(Outbox& outbox, Metric why);
  Partial& partial_of(const Address& from, const MessageHeader& header);
  void forget(const Address& peer);
  void erase_partial(const Address& peer, std::size_t at);

  Hub& hub_;
  Deliver deliver_;
  std::map<Address, Outbox> outboxes_;
  std::map<Address, std::vector<Partial>> partials_;
  std::size_t outbox_bytes_ = 0, partial_bytes_ = 0;
  // To all peers, from anywhere: a session that replaces another must not repeat its numbers, nor
  // one after a restart.
  std::uint16_t next_message_;
};

}  // namespace wow
