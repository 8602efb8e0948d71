#!/usr/bin/python3
"""One-way delays between two hosts of one machine, whose clock is the same.

  one_way.py receive IP:PORT COUNT          prints, when nothing came for a second after the first: "p50 p99 min max lost disorder", in
                                            microseconds; two numbers of packets
  one_way.py send IP:PORT COUNT INTERVAL_US
"""
import socket
import struct
import sys
import time


def receive(address, count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(address)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    print("ready", flush=True)
    delays, numbers = [], []
    s.settimeout(30)
    try:
        while len(delays) < count:
            data = s.recv(2048)
            now = time.monotonic_ns()
            number, sent = struct.unpack_from("!QQ", data)
            delays.append((now - sent) // 1000)
            numbers.append(number)
            s.settimeout(1)
    except socket.timeout:
        pass
    n = len(delays)
    disorder = sum(1 for i in range(1, n) if numbers[i] < numbers[i - 1])
    delays.sort()
    print(delays[n // 2], delays[n * 99 // 100], delays[0], delays[-1], count - n, disorder, flush=True)


def send(address, count, interval_us):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    due = time.monotonic_ns()
    for number in range(count):
        while True:
            wait = due - time.monotonic_ns()
            if wait <= 0:
                break
            time.sleep(wait / 1e9)
        s.sendto(struct.pack("!QQ", number, time.monotonic_ns()).ljust(200), address)
        due += interval_us * 1000


ip, port = sys.argv[2].split(":")
if sys.argv[1] == "receive":
    receive((ip, int(port)), int(sys.argv[3]))
else:
    send((ip, int(port)), int(sys.argv[3]), int(sys.argv[4]))
