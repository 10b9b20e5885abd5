#!/usr/bin/env python3
"""Serves a local port through an edge, over the binding adit-single (docs/protocol.md, section 7.4).

    ADIT_TOKEN=… ./agent.py https://edge.example 127.0.0.1:3000
"""
import json, os, random, select, socket, ssl, struct, sys, threading, time, urllib.parse

EDGE, (HOST, PORT) = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2].rsplit(":", 1)
# Names under .localhost are this machine (RFC 6761, section 6.3): those of adit dev are.
WHERE = "localhost" if EDGE.hostname.endswith(".localhost") else EDGE.hostname
TLS = ssl.create_default_context(cafile=os.environ.get("ADIT_CA"))
ASK = "\r\n".join(["GET /.well-known/tunnel HTTP/1.1", f"Host: {EDGE.netloc}", "Connection: upgrade",
                   "Upgrade: adit-single", f"Authorization: Bearer {os.environ['ADIT_TOKEN']}", "", ""])

def take_one_visitor():
    tcp = socket.create_connection((WHERE, EDGE.port or 443), timeout=60)
    # A connection that breaks off must not look like one that ends.
    with TLS.wrap_socket(tcp, server_hostname=EDGE.hostname, suppress_ragged_eofs=False) as visitor:
        visitor.sendall(ASK.encode())
        answer = visitor.makefile("rb")
        status = int(answer.readline().split()[1])
        fields = dict(line.decode().strip().lower().split(": ", 1) for line in iter(answer.readline, b"\r\n"))
        if status == 101:                                # a visitor is here: a PROXY protocol v2 head follows
            (length,) = struct.unpack(">14xH", answer.read(16))
            answer.read(length)
            serve(visitor)
        elif status != 204:                              # 204: nobody has come for 30 seconds
            raise PermissionError(status, json.loads(answer.read(int(fields["content-length"])))["msg"])

def serve(visitor):
    try:
        origin = socket.create_connection((HOST, PORT), timeout=2)
    except OSError:
        visitor.sendall(b"\x20")                         # refused: nothing was delivered, the edge says 502
        return end(visitor)
    with origin:
        visitor.settimeout(None), origin.settimeout(None), visitor.sendall(b"\0")
        sinks = {visitor: origin, origin: visitor}
        try:
            while sinks:
                for source in [visitor] if visitor in sinks and visitor.pending() else select.select(sinks, [], [])[0]:
                    data = read(source)
                    sinks[source].sendall(data) if data else end(sinks.pop(source))
        except OSError:                                  # cut here, cut there
            origin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise

def read(source):
    try:
        return source.recv(65536)
    except ssl.SSLZeroReturnError:                       # an end, when both sides have said so
        return b""

def end(sink):
    """Ends one direction: close_notify or FIN. The other one goes on."""
    if not isinstance(sink, ssl.SSLSocket):
        return sink.shutdown(socket.SHUT_WR)
    sink.settimeout(0)
    try:
        sink.unwrap()
    except ssl.SSLError:                                 # sent; the visitor has not ended yet
        sink.settimeout(None)

def work():
    while True:
        try:
            take_one_visitor()
        except PermissionError as error:
            if error.errno in (400, 401, 403, 426):       # trying again would not help
                print(f"the edge refuses: {error.strerror}", file=sys.stderr)
                os._exit(1)
            time.sleep(random.uniform(1, 10))
        except (OSError, ValueError, struct.error) as error:
            print(f"a connection has failed: {error}", file=sys.stderr)
            time.sleep(random.uniform(0, 3))

for _ in range(8):                                       # as many visitors at a time
    threading.Thread(target=work).start()
