#!/usr/bin/python3
"""Small UDP tools that show what a NAT does.

  udp_probe.py serve IP:PORT...            answers `who` with `mapped IP:PORT as seen by IP:PORT`; on `say IP:PORT WORD`
                                           sends WORD to IP:PORT, from where it listens
  udp_probe.py hold PORT IP:PORT...        from local PORT asks each server in turn `who`, then prints all that comes in
  udp_probe.py send IP:PORT WORDS          sends one datagram from a new port
"""
import select
import socket
import sys


def endpoint(text):
    ip, port = text.rsplit(":", 1)
    return ip, int(port)


def text(endpoint):
    return "%s:%d" % endpoint


def bound(ip, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((ip, port))
    return s


def serve(endpoints):
    sockets = [bound(*endpoint(e)) for e in endpoints]
    print("ready", flush=True)
    while True:
        for s in select.select(sockets, [], [])[0]:
            data, source = s.recvfrom(2048)
            words = data.decode().split()
            if words[0] == "who":
                s.sendto(("mapped %s as seen by %s" % (text(source), text(s.getsockname()))).encode(), source)
            elif words[0] == "say":
                s.sendto(words[2].encode(), endpoint(words[1]))


def hold(port, servers):
    s = bound("", port)
    s.settimeout(3)
    for server in servers:
        s.sendto(b"who", endpoint(server))
        print(s.recv(2048).decode(), flush=True)
    s.settimeout(None)
    print("holding", flush=True)
    while True:
        data, source = s.recvfrom(2048)
        print("heard %s from %s" % (data.decode(), text(source)), flush=True)


def main(command, *arguments):
    if command == "serve":
        serve(arguments)
    elif command == "hold":
        hold(int(arguments[0]), arguments[1:])
    elif command == "send":
        bound("", 0).sendto(arguments[1].encode(), endpoint(arguments[0]))


main(*sys.argv[1:])
