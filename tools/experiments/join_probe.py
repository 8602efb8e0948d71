#!/usr/bin/python3
"""Runs in a host that is about to join: starts `wow up`, and prints one line of JSON with seconds since then.

  join_probe.py POOL TARGET_IP TARGET_NODE LIMIT

up_s: `wow up` returned (lease held, ring joined). routable_s: the first echo came back from TARGET_IP. direct_s: the path to
TARGET_NODE (its address on the ring) was direct, traffic going on; null if not within LIMIT seconds. lost: echoes that had no answer.
"""
import json
import select
import socket
import struct
import subprocess
import sys
import time

PACE_S = 0.01
LOOK_S = 0.03  # how often the path is asked for, once packets flow


def echo_request(sequence):
    """An ICMP echo request (RFC 792) with its checksum."""
    head = struct.pack("!BBHHH", 8, 0, 0, 0x776F, sequence)
    total = sum(struct.unpack("!4H", head))
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack("!BBHHH", 8, 0, ~(total + (total >> 16)) & 0xFFFF, 0x776F, sequence)


def is_direct(pool, node):
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(f"/run/wow/{pool}.sock")
        body = b'{"names":false}'
        control.sendall(b"POST /peers HTTP/1.0\r\nHost: wow\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        answer = b""
        while part := control.recv(1 << 16):
            answer += part
    peers = json.loads(answer.split(b"\r\n\r\n", 1)[1])["peers"]
    return any(peer["address"] == node and peer["direct"] for peer in peers)


def main():
    pool, target, node, limit = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
    echo = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    start = time.monotonic()
    now = lambda: time.monotonic() - start
    subprocess.run(["wow", "up", pool], check=True, stdout=subprocess.DEVNULL, timeout=60)
    result = {"up_s": now(), "routable_s": None, "direct_s": None}
    sent, answered, next_send, next_look = 0, set(), 0, 0
    while now() < limit and result["direct_s"] is None:
        if now() >= next_send:
            next_send = now() + PACE_S
            sent += 1
            try:
                echo.sendto(echo_request(sent & 0xFFFF), (target, 0))
            except OSError:
                pass
        if select.select([echo], [], [], PACE_S / 4)[0]:
            packet, peer = echo.recvfrom(2048)
            kind, _, _, ident, sequence = struct.unpack("!BBHHH", packet[20:28])
            if peer[0] == target and kind == 0 and ident == 0x776F:
                answered.add(sequence)
                if result["routable_s"] is None:
                    result["routable_s"] = now()
        if answered and now() >= next_look:
            next_look = now() + LOOK_S
            if is_direct(pool, node):
                result["direct_s"] = now()
    end = now() + 1
    while len(answered) < sent and now() < end:
        if select.select([echo], [], [], 0.05)[0]:
            packet, peer = echo.recvfrom(2048)
            kind, _, _, ident, sequence = struct.unpack("!BBHHH", packet[20:28])
            if peer[0] == target and kind == 0 and ident == 0x776F:
                answered.add(sequence)
    result["sent"], result["lost"] = sent, sent - len(answered)
    print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}))


main()
