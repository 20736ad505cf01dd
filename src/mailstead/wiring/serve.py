"""The running server: a house, the chosen services on it, and an end in order.

Services that were not chosen are not loaded: their code is memory.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mailstead.config.settings import Settings
from mailstead.model.errors import BadSettings
from mailstead.net.certificates import open_certificates
from mailstead.net.endpoint import Endpoint
from mailstead.net.run import Servers, calm_collector, forbid_core_dumps, raise_file_limit
from mailstead.net.supervision import hang_up_means_reload, notify
from mailstead.telemetry import log
from mailstead.usecases.reporting import Counting
from mailstead.usecases.statistics import StatisticsCounting
from mailstead.wiring.acme import make_ordering, orders_certificates
from mailstead.wiring.house import House, open_house
from mailstead.wiring.listeners import make_listeners
from mailstead.wiring.services import chosen_services

if TYPE_CHECKING:
    from mailstead.net.http_server import HttpServer
    from mailstead.services.web.service import WebService

_log = log.get("wiring")

_FILES_PER_CONNECTION_AND_STORE: Final = 20_000
"""As many open files as 18,000 connections and the stores need."""


async def serve(
    settings: Settings, *, worker: int = 0, is_port_shared: bool = False, when_ready: Callable[[], None] | None = None
) -> None:
    """Run the chosen services until SIGTERM or SIGINT; on SIGHUP, look at the certificate's files at once.

    Order: open storage, bind all ports, start, report ready. Stop: stop accepting, say goodbye, finish what has
    promised 250, close storage. Errors: BadSettings and whatever `open_house` raises.
    """
    forbid_core_dumps()
    raise_file_limit(_FILES_PER_CONNECTION_AND_STORE)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server, tls = settings.server, settings.tls
    async with open_house(settings) as house:
        certificates = open_certificates(
            tls.certificate_file,
            tls.key_file,
            server.data_dir,
            server.hostname,
            tls.watch_s,
            is_ordered=orders_certificates(settings),
        )
        if hang_up_means_reload():
            loop.add_signal_handler(signal.SIGHUP, loop.run_in_executor, None, certificates.look)
        # Made before any port is bound: settings that do not fit together are told at start.
        ordering = make_ordering(house) if orders_certificates(settings) and worker == 0 else None
        services = chosen_services(server.services)
        web: WebService | None = None
        if "web" in services and (settings.web.listen or settings.web.listen_tls or settings.web.listen_shared):
            from mailstead.wiring.web import make_web_service

            web = make_web_service(house, certificates, is_port_shared=is_port_shared)
            if worker == 0 and when_ready is None:
                await _tell_first_run(house)
        http: list[HttpServer] = [web] if web is not None else []
        if {"caldav", "carddav"} & set(services):
            from mailstead.wiring.dav import make_dav_services

            http += make_dav_services(house, certificates, is_port_shared=is_port_shared)
        if "api" in services and (settings.api.listen or settings.api.listen_tls):
            from mailstead.wiring.api import make_api_service

            http.append(make_api_service(house, certificates, is_port_shared=is_port_shared))
        servers = Servers(
            make_listeners(house, certificates, web, is_port_shared=is_port_shared),
            stop_limit_s=server.stop_limit_s,
            certificates=certificates,
        )
        servers.bind()
        for each in http:
            each.bind()
        if server.metrics_listen:
            _show_metrics(server.metrics_listen, worker)
        bound = [at for listener in servers.listeners for at in listener.bound]
        bound += [at for each in http for at in each.bound]

        def tell_ready() -> None:
            if when_ready is not None:
                when_ready()
            if worker == 0:
                notify("READY=1")

        if worker == 0:
            from mailstead.wiring.installed import make_update_state

            await make_update_state(house).note_running()
        calm_collector()
        _log.info("ready", services=server.services, addresses=[str(at) for at in bound])
        async with asyncio.TaskGroup() as group:
            if "queue" in services:
                from mailstead.wiring.queue import make_queue_service
                from mailstead.wiring.webmail import make_waking

                group.create_task(make_queue_service(house).run(stop))
                group.create_task(house.import_work.run(stop))
                group.create_task(make_waking(house).run(stop))
            for each in http:
                group.create_task(each.run(stop))
            if "mx" in services and house.dmarc_outcomes is not None:
                group.create_task(Counting(house.dmarc_outcomes).run(stop))
            # Not with the others: what is delivered until the last conversation has ended wakes somebody, too.
            nothing_comes = asyncio.Event()
            group.create_task(house.push.run(nothing_comes))
            group.create_task(house.device_push.run(nothing_comes))
            group.create_task(StatisticsCounting(house.storage, house.clock).run(nothing_comes))
            orders = group.create_task(ordering.run()) if ordering is not None else None
            await servers.run(stop, tell_ready)
            nothing_comes.set()
            if orders is not None:
                orders.cancel()
            _log.info("stopping")


async def _tell_first_run(house: House) -> None:
    """Print the link of the first run where nobody administers the server: whoever reads what it prints is to.

    Not to the log, which others may read, too.
    """
    from mailstead.wiring.site import first_run_url

    if url := await first_run_url(house):
        sys.stdout.write(f"Nobody administers this server yet. To begin, open within three days:\n\n  {url}\n\n")
        sys.stdout.flush()


def _show_metrics(at: str, worker: int) -> None:
    """Answer Prometheus on a thread of its own; each worker counts for itself, on the port and those after it.

    Errors: BadSettings.
    """
    from prometheus_client import start_http_server

    endpoint = Endpoint.parse(at)
    try:
        start_http_server(endpoint.port + worker, endpoint.host or "0.0.0.0")  # noqa: S104  # as the setting asks
    except OSError as error:
        raise BadSettings(f"server.metrics_listen: cannot listen on {at}: {error.strerror}") from None
