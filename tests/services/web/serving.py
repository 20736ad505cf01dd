"""A web service made by the wiring, on loopback, with the house's own certificate."""

import asyncio
from contextlib import asynccontextmanager

from services.web.test_web import LIMIT_S, Web


@asynccontextmanager
async def serving(folder, make):
    """Give a running service; `make` gets the certificates and gives it unbound. It listens on one port, with TLS."""
    web = Web(folder)
    web.service = make(web.certificates)
    web.service.bind()
    [web.tls_port] = [endpoint.port for endpoint in web.service.bound]
    web.port = web.tls_port
    web.stop = asyncio.Event()
    web.running = asyncio.create_task(web.service.run(web.stop))
    try:
        yield web
    finally:
        web.stop.set()
        async with asyncio.timeout(LIMIT_S):
            await web.running
