"""What the API needs to look after the server itself."""

from __future__ import annotations

from functools import partial

from mailstead import __version__
from mailstead.services.api.administration import Administration
from mailstead.usecases.domain_entries import domain_entry
from mailstead.usecases.outgoing import Outgoing
from mailstead.usecases.overview import Overviews
from mailstead.usecases.statistics import Statistics
from mailstead.usecases.traces import Traces
from mailstead.wiring.doctor import make_dns_plan, make_dns_writer, make_doctor, make_probes
from mailstead.wiring.house import House


def make_administration(house: House) -> Administration:
    """Give it for a house."""
    settings = house.settings
    return Administration(
        audit=house.audit,
        backup_jobs=house.backup_jobs,
        dns_plan=partial(make_dns_plan, house),
        dns_writer=partial(make_dns_writer, house),
        doctor=partial(make_doctor, house),
        find_domain=partial(domain_entry, house.storage.people),
        keys=house.keys,
        outgoing=Outgoing(house.storage, house.clock, house.audit),
        overviews=Overviews(house.storage, house.clock, make_probes(settings), __version__, settings.server.services),
        reporting=house.reporting,
        sender_lists=house.sender_lists,
        statistics=Statistics(house.storage, house.clock),
        traces=Traces(house.storage),
        account_quota_octets=settings.store.account_quota_octets or None,
    )
