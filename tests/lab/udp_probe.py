#!/usr/bin/python3
"""Small UDP tools that show what a NAT does.

  udp_probe.py serve IP:PORT... [--partner IP:PORT]
                                   answers `who` with `mapped IP:PORT as seen by IP:PORT`; on `say IP:PORT WORD` sends WORD to
                                   IP:PORT, from where it listens; on `other-port WORD` sends WORD back from the next of its
                                   endpoints; on `other-address WORD` asks its partner to say it to whoever asked
  udp_probe.py hold PORT IP:PORT...        from local PORT asks each server in turn `who`, then prints all that comes in
  udp_probe.py send IP:PORT WORDS          sends one datagram from a new port
  udp_probe.py classify A1 B1 B2           asks the servers (two ports of B) as RFC 5780, 4.3 and 4.4 do, and prints
                                           "MAPPING PORTS FILTERING HAIRPIN": eim|adm|apdm keep|random|sequential eif|adf|apdf
                                           hairpin|no-hairpin; or "no-udp"
"""
import select
import socket
import sys

# An answer takes less than a millisecond here; what is not there by then was filtered.
PATIENCE_S = 0.5


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
    partner = None
    if "--partner" in endpoints:
        partner = endpoint(endpoints[-1])
        endpoints = endpoints[:-2]
    sockets = [bound(*endpoint(e)) for e in endpoints]
    print("ready", flush=True)
    while True:
        for s in select.select(sockets, [], [])[0]:
            i = sockets.index(s)
            data, source = s.recvfrom(2048)
            words = data.decode().split()
            if words[0] == "who":
                s.sendto(("mapped %s as seen by %s" % (text(source), text(s.getsockname()))).encode(), source)
            elif words[0] == "say":
                s.sendto(words[2].encode(), endpoint(words[1]))
            elif words[0] == "other-port":
                sockets[(i + 1) % len(sockets)].sendto(words[1].encode(), source)
            elif words[0] == "other-address":
                s.sendto(("say %s %s" % (text(source), words[1])).encode(), partner)


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


def ask(s, server, request, answer):
    """The rest of the answer that begins with `answer`, or None."""
    s.settimeout(PATIENCE_S)
    try:
        s.sendto(request.encode(), server)
        while True:
            words = s.recv(2048).decode()
            if words.startswith(answer):
                return words[len(answer):].strip()
    except OSError:
        return None


def who(s, server):
    words = ask(s, server, "who", "mapped ")
    return words and words.split()[0]


def mapping_of(s, servers):
    a, b, b2 = [who(s, server) for server in servers]
    if a is None:
        return None, None
    ports = [endpoint(e)[1] for e in (a, b, b2)]
    if a == b == b2:
        # Others show how a port is chosen.
        ports = [endpoint(who(bound("", 0), servers[0]))[1] for _ in range(3)]
        kept = endpoint(a)[1] == s.getsockname()[1]
        return "eim", "keep" if kept else order_of(ports)
    if b == b2:
        ports = [endpoint(who(bound("", 0), servers[0]))[1] for _ in range(3)]
        return "adm", order_of(ports)
    return "apdm", order_of(ports)


def order_of(ports):
    return "sequential" if ports[1] - ports[0] == 1 and ports[2] - ports[1] == 1 else "random"


def filtering_of(servers):
    s = bound("", 0)
    who(s, servers[0])
    if ask(s, servers[0], "other-address anybody", "anybody") is not None:
        return "eif"
    return "apdf" if ask(s, servers[0], "other-port same-address", "same-address") is None else "adf"


def hairpin_of(servers):
    s, other = bound("", 0), bound("", 0)
    outside = who(s, servers[0])
    who(other, servers[0])
    other.sendto(b"turned", endpoint(outside))
    return "hairpin" if select.select([s], [], [], PATIENCE_S)[0] else "no-hairpin"


def classify(servers):
    servers = [endpoint(e) for e in servers]
    mapping, ports = mapping_of(bound("", 0), servers)
    if mapping is None:
        print("no-udp")
        return
    print(mapping, ports, filtering_of(servers), hairpin_of(servers))


def main(command, *arguments):
    if command == "serve":
        serve(list(arguments))
    elif command == "hold":
        hold(int(arguments[0]), arguments[1:])
    elif command == "send":
        bound("", 0).sendto(arguments[1].encode(), endpoint(arguments[0]))
    elif command == "classify":
        classify(arguments)


main(*sys.argv[1:])
