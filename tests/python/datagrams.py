"""A server of datagrams, and a visitor of one: `datagrams.py echo` answers each datagram with itself and prints its port;
`datagrams.py ask PORT SIZE...` sends datagrams of these sizes through the port and prints each size that came back whole."""

import socket
import sys
import time

WITHIN = 60


def echo() -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    while True:
        datagram, sender = server.recvfrom(65535)
        server.sendto(datagram, sender)


def ask(port: int, size: int) -> None:
    """Sends until it comes back: datagrams may be lost."""
    question = bytes(n * 7 % 251 for n in range(size))
    deadline = time.monotonic() + WITHIN
    visitor.settimeout(0.5)
    while time.monotonic() < deadline:
        visitor.sendto(question, ("127.0.0.1", port))
        try:
            if visitor.recv(65535) == question:
                print(size, flush=True)
                return
        except TimeoutError:
            pass
    sys.exit(f"{size} bytes do not come back")


if sys.argv[1] == "echo":
    echo()
else:
    visitor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for size in sys.argv[3:]:
        ask(int(sys.argv[2]), int(size))
