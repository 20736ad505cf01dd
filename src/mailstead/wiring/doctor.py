"""Those who look at the house from outside: who knows what to publish in the DNS, and who looks whether all is well."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from mailstead.config.settings import Settings
from mailstead.net.certificates import certificate_place
from mailstead.net.probes import HostProbes
from mailstead.ports.probes import Probes
from mailstead.usecases.dnsplan import DnsPlan
from mailstead.usecases.doctor import Doctor, DoctorTerms
from mailstead.wiring.acme import orders_certificates
from mailstead.wiring.house import ADMINISTRATOR, House
from mailstead.wiring.master_key import master_key_file, master_key_place
from mailstead.wiring.offers import house_offers, listening

if TYPE_CHECKING:
    from mailstead.usecases.daily_doctor import DailyDoctor
    from mailstead.usecases.dns_writing import DnsWriting


def make_dns_plan(house: House) -> DnsPlan:
    """Give who knows what to publish in the DNS."""
    settings = house.settings
    sources = (*settings.server.public_addresses, settings.relay.source_ipv4, settings.relay.source_ipv6)
    return DnsPlan(house.storage, house.routes, make_probes(settings), house_offers(settings), sources)


def make_probes(settings: Settings) -> Probes:
    """Give who asks this machine and its network."""
    certificate = certificate_place(
        settings.tls.certificate_file, settings.server.data_dir, is_ordered=orders_certificates(settings)
    )
    return HostProbes(settings, certificate, master_key_file(settings), master_key_place(settings))


def make_dns_writer(house: House) -> DnsWriting | None:
    """Give who writes records at the DNS provider; None where none is set. Errors: BadSettings."""
    from mailstead.usecases.dns_writing import DnsWriting
    from mailstead.wiring.zones import make_zone_editor

    zones = make_zone_editor(house)
    return DnsWriting(make_dns_plan(house), zones) if zones else None


async def _last_backup(settings: Settings) -> datetime | None:
    from mailstead.wiring.backup import make_backups  # only where backups are made

    return await make_backups(settings).last_made_at(ADMINISTRATOR)


def _is_backup_key_shown(settings: Settings) -> bool:
    from mailstead.wiring.backup import is_key_shown

    return is_key_shown(settings)


def make_doctor(house: House) -> Doctor:
    """Give who looks whether all is well."""
    settings = house.settings
    terms = DoctorTerms(
        settings.server.hostname,
        listening(settings),
        settings.policy.dns_blocklists,
        settings.doctor.port_25_target,
        settings.store.disk_reserve_octets,
        partial(_last_backup, settings) if settings.backup.target else None,
        partial(_is_backup_key_shown, settings),
    )
    plan = make_dns_plan(house)
    return Doctor(house.storage, house.clock, house.resolver, house.web, make_probes(settings), plan, terms)


def make_daily_doctor(house: House) -> DailyDoctor:
    """Give who tells what has changed since the last days."""
    from mailstead.usecases.daily_doctor import DailyDoctor

    doctor, hostname = make_doctor(house), house.settings.server.hostname
    return DailyDoctor(house.storage, house.clock, doctor, house.routes, house.sealing, hostname=hostname)
