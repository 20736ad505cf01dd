"""A WebSocket to the API's application, without a port: what a client sends and gets."""

import asyncio
import json
from contextlib import asynccontextmanager

from services.api.asking import HOST


class Listening:
    """One side of a WebSocket; `status` is that of a refused handshake, `code` that of a close."""

    def __init__(self, app, path, address, headers):
        path, _, query = path.partition("?")
        fields = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": (address, 4711),
            "server": (HOST, 443),
            "scheme": "wss",
            "state": {"tls_version": "TLSv1.3", "abort": self._abort},
            "extensions": {"websocket.http.response": {}},
        }
        self.status = self.code = self.reason = self.body = None
        self.headers = {}
        self.is_accepted = self.is_aborted = False
        self.reads = asyncio.Event()
        self.reads.set()
        self.is_closing = asyncio.Event()
        """The server has begun to close it, whether the client reads or not."""
        self._in = asyncio.Queue()
        self._in.put_nowait({"type": "websocket.connect"})
        self._out = asyncio.Queue()
        self._task = asyncio.create_task(self._run(app))

    async def _run(self, app):
        try:
            await app(self.scope, self._in.get, self._take)
        finally:
            self._out.put_nowait(None)

    def _abort(self):
        self.is_aborted = True

    async def _take(self, message):
        if message["type"] == "websocket.close":
            self.is_closing.set()
        await self.reads.wait()
        match message["type"]:
            case "websocket.accept":
                self.is_accepted = True
            case "websocket.http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            case "websocket.http.response.body":
                self.body = json.loads(message["body"])
            case "websocket.close":
                self.code, self.reason = message["code"], message["reason"]
            case "websocket.send":
                self._out.put_nowait(message)

    def say(self, text):
        self._in.put_nowait({"type": "websocket.receive", "text": text if isinstance(text, str) else json.dumps(text)})

    async def raw(self):
        """Give the next message of the server; None: it has ended."""
        async with asyncio.timeout(20):
            return await self._out.get()

    async def next(self):
        """Give the next frame."""
        message = await self.raw()
        assert message is not None, (self.status, self.code, self.reason)
        return json.loads(message["text"])

    async def end(self):
        """Wait for its end, reading on; give the frames that came before it."""
        found = []
        while (message := await self.raw()) is not None:
            found.append(message)
        return found

    async def leave(self):
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(20):
            await self._task


@asynccontextmanager
async def listening(app, path="/v1/ws", address="192.0.2.1", **headers):
    """Open a WebSocket, and leave it at the end."""
    made = Listening(app, path, address, headers)
    try:
        yield made
    finally:
        await made.leave()
