#!/usr/bin/python3
"""Floods the peer of a host's daemon with what is no honest datagram, from the daemon's own address and port.

  flood.py PORT TO_IP TO_PORT COUNT PER_SECOND     prints one line of JSON: how many of each kind were sent

PORT is the daemon's. Real datagrams are caught first, then sent again, cut and changed, between random ones.
"""
import json
import random
import socket
import struct
import sys
import time

CAUGHT = 200
ETH_P_ALL = 3  # only who listens to all sees what goes out
SOL_PACKET, PACKET_VNET_HDR = 263, 15  # linux/if_packet.h
VNET_HEADER, ETHERNET_HEADER = 10, 14
PACKET_TYPES = (0x01, 0x02, 0x03, 0x10, 0x11)


def udp(packet):
    """Addresses, ports and payload of an IPv4 packet, or None."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    header = (packet[0] & 15) * 4
    if packet[9] != socket.IPPROTO_UDP or len(packet) < header + 8:
        return None
    return packet[12:16], packet[16:20], *struct.unpack("!HH", packet[header:header + 4]), packet[header + 8:]


def catch(port, to_ip, to_port):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    link.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    link.bind(("eth0", ETH_P_ALL))
    link.settimeout(10)
    caught, source = [], None
    while len(caught) < CAUGHT:
        got = link.recv(1 << 17)
        found = udp(got[VNET_HEADER + ETHERNET_HEADER:])
        if found and found[1:4] == (socket.inet_aton(to_ip), port, to_port):
            source = found[0]
            # Several may leave together, to be cut at this size.
            size = struct.unpack("=H", got[4:6])[0] or len(found[4]) or 1
            caught += [found[4][i:i + size] for i in range(0, len(found[4]), size)]
    return source, caught


def main(port, to_ip, to_port, count, per_second):
    source, caught = catch(port, to_ip, to_port)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    rng = random.Random(7)

    def cut():
        return rng.choice(caught)[:rng.randrange(0, 60)]

    def changed():
        data = bytearray(rng.choice(caught))
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if len(data) > 32:  # a counter that was not seen yet, so that it is no replay
            data[12:16] = rng.randbytes(4)
        return bytes(data)

    def garbage():
        return rng.randbytes(rng.randrange(0, 1400))

    def likely_garbage():
        return bytes([rng.choice(PACKET_TYPES)]) + rng.randbytes(rng.randrange(0, 1400))

    kinds = {"replayed": lambda: rng.choice(caught), "cut": cut, "changed": changed, "garbage": garbage,
             "likely": likely_garbage}
    sent = dict.fromkeys(kinds, 0)
    start = time.time()
    for i in range(count):
        kind = rng.choice(list(kinds))
        payload = kinds[kind]()
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, source, socket.inet_aton(to_ip))
        raw.sendto(header + struct.pack("!HHHH", port, to_port, 8 + len(payload), 0) + payload, (to_ip, 0))
        sent[kind] += 1
        if i % 50 == 0:
            time.sleep(max(0, start + i / per_second - time.time()))
    print(json.dumps(sent), flush=True)


main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
