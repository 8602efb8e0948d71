#!/usr/bin/python3
"""A TCP transfer that is checked to the byte and timed.

  stream.py receive PORT                   takes one transfer; prints `ready`, then one line of JSON
  stream.py send HOST PORT SECONDS MBIT    sends random bytes for that long at that pace; prints one line of JSON
  stream.py compare SENT RECEIVED [MOMENT] prints one line of JSON from those two lines' files: ok, bytes, longest_gap_s, and
                                           after_s: from MOMENT (seconds since 1970) to the first bytes after it
"""
import hashlib
import json
import os
import socket
import sys
import time

CHUNK_BYTES = 16 * 1024
GAP_MIN_S = 0.01  # shorter ones are not worth listing


def receive(port):
    dual = socket.has_dualstack_ipv6()
    listener = socket.create_server(("", port), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual)
    print("ready", flush=True)
    connection, _ = listener.accept()
    digest, size, gaps, last = hashlib.sha256(), 0, [], time.time()
    while data := connection.recv(1 << 16):
        now = time.time()
        if now - last > GAP_MIN_S:
            gaps.append([last, now])
        last = now
        digest.update(data)
        size += len(data)
    print(json.dumps({"bytes": size, "sha256": digest.hexdigest(), "gaps": gaps}), flush=True)


def send(host, port, seconds, mbit):
    connection = socket.create_connection((host, port))
    digest, size, start = hashlib.sha256(), 0, time.time()
    while time.time() - start < seconds:
        data = os.urandom(CHUNK_BYTES)
        connection.sendall(data)
        digest.update(data)
        size += len(data)
        time.sleep(max(0, start + size * 8 / (mbit * 1e6) - time.time()))
    connection.close()
    print(json.dumps({"bytes": size, "sha256": digest.hexdigest()}), flush=True)


def last_line(path):
    with open(path) as lines:
        return json.loads(lines.read().splitlines()[-1])


def compare(sent_path, received_path, moment):
    sent, received = last_line(sent_path), last_line(received_path)
    gaps = received["gaps"]
    print(json.dumps({
        "ok": sent["bytes"] == received["bytes"] and sent["sha256"] == received["sha256"],
        "bytes": received["bytes"],
        "longest_gap_s": round(max((end - start for start, end in gaps), default=0), 3),
        "after_s": round(max((end - moment for start, end in gaps if start <= moment <= end), default=0), 3),
    }))


def main(command, *arguments):
    if command == "receive":
        receive(int(arguments[0]))
    elif command == "send":
        send(arguments[0], int(arguments[1]), float(arguments[2]), float(arguments[3]))
    elif command == "compare":
        compare(arguments[0], arguments[1], float(arguments[2]) if len(arguments) > 2 else 0)


main(*sys.argv[1:])
