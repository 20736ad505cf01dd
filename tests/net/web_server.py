"""A small web server on loopback that answers with the octets it was given."""

import asyncio
import contextlib


class WebServer:
    """Notes each request whole, and answers with the octets it was given."""

    def __init__(self):
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.requests = []
        self.connection_count = 0
        self.then = None
        self.closed = asyncio.Event()

    async def start(self, tls=None, host="127.0.0.1", port=0):
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self.connection_count += 1
        # RuntimeError: uvloop's word for a connection that the other side has closed.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, RuntimeError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            self.requests.append(head + await reader.readexactly(length))
            writer.write(self.answer)
            await writer.drain()
            if self.then is not None:
                await self.then(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.closed.set()
