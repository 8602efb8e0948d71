#!/usr/bin/python3
"""Sends random bytes to an echo server at a pace, and compares what comes back: echo.py HOST PORT SECONDS|FILE KBYTES_PER_S.

It ends after so many seconds, or when there is such a file.

Prints `connected`, then a line of JSON: ok, bytes, longest_gap_s, and gaps (those over 0.2 s, by the wall clock).
"""
import json
import os
import select
import socket
import sys
import time


def main():
    host, port, limit, rate = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]) * 1000
    connection = socket.create_connection((host, port), timeout=20)
    connection.setblocking(False)
    print("connected", flush=True)
    start = last = time.time()
    end = None
    expected, sent, received, gaps, longest, ok = bytearray(), 0, 0, [], 0, True
    while end is None or received < sent:
        now = time.time()
        if end is None and (os.path.exists(limit) if limit.startswith("/") else now > start + float(limit)):
            end = now
        if end is not None and now > end + 60:
            ok = False
            break
        due = end is None and sent < (now - start) * rate
        readable, writable, _ = select.select([connection], [connection] if due else [], [], 0.005)
        if writable:
            data = os.urandom(4096)
            count = connection.send(data)
            expected += data[:count]
            sent += count
        if readable:
            data = connection.recv(1 << 16)
            if not data:
                ok = False
                break
            now = time.time()
            longest = max(longest, now - last)
            if now - last > 0.2:
                gaps.append([round(last, 3), round(now, 3)])
            last = now
            ok = ok and data == bytes(expected[: len(data)])
            del expected[: len(data)]
            received += len(data)
    print(json.dumps({"ok": ok, "bytes": received, "longest_gap_s": round(longest, 3), "gaps": gaps}), flush=True)


main()
