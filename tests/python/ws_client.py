"""Talks to the WebSocket origin through the edge: HOST PORT CA_FILE|-."""
import asyncio
import ssl
import sys

from websockets.asyncio.client import connect


async def main():
    host, port, ca = sys.argv[1:4]
    context = None if ca == "-" else ssl.create_default_context(cafile=ca)
    scheme = "ws" if ca == "-" else "wss"
    extra = {} if context is None else {"ssl": context, "server_hostname": host}
    uri = f"{scheme}://{host}:{port}/chat"
    async with connect(uri, host="127.0.0.1", port=int(port), max_size=None, **extra) as socket:
        for n in range(50):
            await socket.send(f"message {n}")
            assert await socket.recv() == f"message {n}"
        large = bytes(range(256)) * 16384
        await socket.send(large)
        assert await socket.recv() == large
        waiter = await socket.ping()
        await waiter
    assert socket.close_code == 1000, socket.close_code
    print("websocket ok")


asyncio.run(main())
