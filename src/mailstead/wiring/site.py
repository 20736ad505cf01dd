"""The pages for people who log in."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from mailstead import __version__
from mailstead.services.web.site.arrivals import Arrivals
from mailstead.services.web.site.house import SiteHouse, SiteTerms
from mailstead.services.web.site.site import Site
from mailstead.services.web.site.table import all_pages
from mailstead.usecases.account_events import AccountEvents
from mailstead.usecases.address_tables import AddressTables
from mailstead.usecases.chosen_messages import ChosenMessages
from mailstead.usecases.emails import Emails
from mailstead.usecases.export_archives import ExportArchives
from mailstead.usecases.first_run import PATH
from mailstead.usecases.folders import Folders
from mailstead.usecases.house_mail import HouseMail
from mailstead.usecases.live_news import LiveNews
from mailstead.usecases.messages import Messages
from mailstead.usecases.outgoing import Outgoing
from mailstead.usecases.overview import Overviews
from mailstead.usecases.own_address import OwnAddresses
from mailstead.usecases.own_aliases import OwnAliases
from mailstead.usecases.own_forwarding import OwnForwarding
from mailstead.usecases.statistics import Statistics
from mailstead.usecases.traces import Traces
from mailstead.usecases.vacations import Vacations
from mailstead.wiring.client_profiles import make_client_profiles
from mailstead.wiring.diary import make_diary
from mailstead.wiring.doctor import make_dns_plan, make_doctor, make_probes
from mailstead.wiring.house import House
from mailstead.wiring.oidc import base_url, make_log_ins
from mailstead.wiring.openpgp import make_openpgp
from mailstead.wiring.site_care import make_care
from mailstead.wiring.site_contacts import make_contact_house
from mailstead.wiring.webmail import make_webmail


def make_site(house: House) -> Site:
    """Give them."""
    settings = house.settings
    provider = settings.oidc.name or urlsplit(settings.oidc.issuer).hostname or "OpenID Connect"
    terms = SiteTerms(
        settings.server.hostname,
        base_url(settings),
        provider if settings.oidc.issuer else "",
        settings.smtp.message_octets_max,
    )
    webmail = make_webmail(house)
    site_house = SiteHouse(
        clock=house.clock,
        terms=terms,
        accounts=house.accounts,
        address_book=house.address_book,
        address_tables=AddressTables(house.address_book),
        addresses=house.addresses,
        arrivals=Arrivals(house.log_in_links, house.invitation_links, make_log_ins(house)),
        client_profiles=make_client_profiles(house),
        chosen_messages=ChosenMessages(house.mailboxes),
        contacts=make_contact_house(house),
        conversations=webmail.conversations,
        audit=house.audit,
        backup_jobs=house.backup_jobs,
        care=make_care(house),
        diary=make_diary(house),
        dns_plan=partial(make_dns_plan, house),
        doctor=partial(make_doctor, house),
        domains=house.domains,
        emails=Emails(house.storage, house.submissions, recipients_max=settings.smtp.recipients_max),
        export_archives=ExportArchives(
            house.storage, house.mailboxes, house.collections, house.calendar_files, house.clock
        ),
        factor_settings=house.factor_settings,
        filter_rules=house.filter_rules,
        first_run=house.first_run,
        folders=Folders(house.mailboxes),
        junk_filter=house.junk_filter,
        identities=webmail.identities,
        keys=house.keys,
        last_log_ins=house.last_log_ins,
        live_news=LiveNews(AccountEvents(house.storage, house.bus), house.accounts),
        members=house.members,
        message_reasons=webmail.message_reasons,
        messages=Messages(house.mailboxes),
        openpgp=make_openpgp(house),
        outgoing=Outgoing(house.storage, house.clock, house.audit),
        outbox=webmail.outbox,
        preferences=webmail.preferences,
        overviews=Overviews(house.storage, house.clock, make_probes(settings), __version__, settings.server.services),
        own_addresses=OwnAddresses(house.storage, house.clock),
        own_aliases=OwnAliases(house.storage, house.aliases),
        own_forwarding=OwnForwarding(
            house.storage,
            house.accounts,
            HouseMail(house.storage, house.routes, house.sealing, house.clock, hostname=settings.server.hostname),
            house.clock,
        ),
        reporting=house.reporting,
        sealed_accounts=house.sealed_accounts,
        sender_lists=house.sender_lists,
        statistics=Statistics(house.storage, house.clock),
        traces=Traces(house.storage),
        users=house.users,
        remote_imports=house.remote_imports,
        shown_messages=house.shown_messages,
        snoozing=webmail.snoozing,
        unsubscribing=webmail.unsubscribing,
        vacations=Vacations(house.storage),
        web_sessions=house.web_sessions,
    )
    return Site(site_house, all_pages())


async def first_run_url(house: House) -> str:
    """Give the link with which the first run begins; empty: somebody administers the server already."""
    if not await house.first_run.is_needed():
        return ""
    return f"{base_url(house.settings)}{PATH}{house.first_run.token().reveal()}"
