"""An agent over a stock WebSocket library: EDGE CA_FILE; the token is in ADIT_TOKEN. It answers each request with a line.

Its messages have odd sizes, and each byte of a frame's head may be in another one: only their joined bytes count.
"""
import asyncio
import json
import os
import random
import ssl
import struct
import sys

from websockets.asyncio.client import connect

DATA, WINDOW, PING = 0, 1, 2
SYN, ACK, FIN = 1, 2, 4
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nfrom a snake\n"


def frame(kind, flags, stream, body=b"", length=None):
    return struct.pack("!BBHII", 0, kind, flags, stream, len(body) if length is None else length) + body


class Session:
    def __init__(self, socket):
        self.socket = socket
        self.buffer = b""
        self.visits = {}

    async def send(self, data):
        while data:
            size = random.choice([1, 2, 7, 100])
            part, data = data[:size], data[size:]
            # A message of several frames, now and then.
            await self.socket.send([part[:1], part[1:]] if random.random() < 0.3 else part)

    async def read(self, count):
        while len(self.buffer) < count:
            message = await self.socket.recv()
            assert isinstance(message, bytes)
            self.buffer += message
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    async def run(self):
        hello = {"t": "hello", "v": [1], "token": os.environ["ADIT_TOKEN"], "agent": "snake/1"}
        await self.send(frame(DATA, SYN, 1, json.dumps(hello).encode() + b"\n"))
        while True:
            _, kind, flags, stream, length = struct.unpack("!BBHII", await self.read(12))
            if kind == PING and flags & SYN:
                await self.send(frame(PING, ACK, 0, length=length))
            body = await self.read(length) if kind == DATA else b""
            if stream == 1 and body:
                print(json.loads(body.split(b"\n")[0])["t"], flush=True)
            elif stream:
                await self.visit(stream, flags, body)

    async def visit(self, stream, flags, body):
        if flags & SYN:
            await self.send(frame(WINDOW, ACK, stream, length=0) + frame(DATA, 0, stream, b"\0"))
        head, request = self.visits.get(stream, (False, b""))
        request += body
        if not head and len(request) >= 16:
            # The PROXY header, which has empty lines in it.
            end = 16 + struct.unpack("!H", request[14:16])[0]
            head, request = len(request) >= end, request[end:] if len(request) >= end else request
        while head and b"\r\n\r\n" in request:
            request = request.split(b"\r\n\r\n", 1)[1]
            await self.send(frame(DATA, 0, stream, ANSWER))
        self.visits[stream] = head, request
        if flags & FIN:
            await self.send(frame(WINDOW, FIN, stream, length=0))


async def main():
    edge, ca = sys.argv[1:3]
    context = ssl.create_default_context(cafile=ca)
    host, port = edge.removeprefix("https://").split(":")
    uri = f"wss://{host}:{port}/.well-known/tunnel"
    extra = {"host": "127.0.0.1", "port": int(port), "server_hostname": host, "ssl": context}
    async with connect(uri, subprotocols=["adit.1.yamux"], compression=None, **extra) as socket:
        assert socket.subprotocol == "adit.1.yamux"
        await Session(socket).run()


asyncio.run(main())
