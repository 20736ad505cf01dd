"""The sessions of the services whose conversations the driver holds; the code of each is loaded when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from mailstead.net.line import Session
from mailstead.wiring.house import House
from mailstead.wiring.oidc import make_tokens

if TYPE_CHECKING:
    from mailstead.proto.smtp.types import Limits

Sessions: TypeAlias = Callable[[bool], Callable[[], Session]]
"""Gives, for implicit TLS or not, the maker of a service's sessions."""


def _mx(house: House) -> Sessions:
    from mailstead.proto.smtp.server import ServerConnection
    from mailstead.services.smtp.session import MxPolicy, SmtpSession

    smtp, hostname = house.settings.smtp, house.settings.server.hostname
    limits, policy = _smtp_limits(house), MxPolicy(house.receptions)

    def sessions(is_tls: bool) -> Callable[[], Session]:
        return lambda: SmtpSession(
            ServerConnection(hostname, limits, is_encrypted=is_tls, offers_starttls=not is_tls),
            policy,
            banner_delay_s=smtp.banner_delay_s,
        )

    return sessions


def _submission(house: House) -> Sessions:
    from mailstead.proto.sasl.mechanisms import MECHANISMS, TOKEN_MECHANISMS
    from mailstead.proto.smtp.server import ServerConnection
    from mailstead.services.smtp.session import SmtpSession, SubmissionPolicy

    hostname, hold_max_s = house.settings.server.hostname, int(house.settings.queue.future_release_max_s)
    limits, policy = _smtp_limits(house), SubmissionPolicy(house.submissions)
    tokens = make_tokens(house)
    mechanisms = MECHANISMS if tokens is None else (*MECHANISMS, *TOKEN_MECHANISMS)

    def sessions(is_tls: bool) -> Callable[[], Session]:
        return lambda: SmtpSession(
            ServerConnection(
                hostname,
                limits,
                is_encrypted=is_tls,
                offers_starttls=not is_tls,
                mechanisms=mechanisms,
                requires_auth=True,
                hold_max_s=hold_max_s,
                hold_until_max=f"{house.clock.now() + timedelta(seconds=hold_max_s):%Y-%m-%dT%H:%M:%SZ}",
            ),
            policy,
            house.accounts,
            tokens,
        )

    return sessions


def _smtp_limits(house: House) -> Limits:
    from mailstead.proto.smtp.types import Limits

    smtp = house.settings.smtp
    return Limits(
        message_octets_max=smtp.message_octets_max,
        recipients_max=smtp.recipients_max,
        errors_max=smtp.errors_max,
        transactions_max=smtp.transactions_max,
        command_limit_s=smtp.command_limit_s,
        data_limit_s=smtp.data_limit_s,
    )


def _imap(house: House) -> Sessions:
    from mailstead.net.turn_socket import turn_credentials
    from mailstead.proto.imap.connection import ImapLimits
    from mailstead.services.imap.session import ImapService
    from mailstead.storage.embedded.turn_secret import turn_secret
    from mailstead.usecases.announcements import Announcements

    settings = house.settings
    # What clients of chatmail domains are told.
    announcements = Announcements(
        house.storage,
        house.clock,
        recipients_max=max(settings.smtp.recipients_max, settings.chatmail.recipients_max),
        turn_secret=lambda: turn_secret(settings.server.data_dir, settings.chatmail.turn_secret),
        ask_turn=partial(turn_credentials, settings.chatmail.turn_socket) if settings.chatmail.turn_socket else None,
        app_versions_file=settings.chatmail.app_versions_file,
        wakes_devices=bool(settings.chatmail.push_url),
    )
    imap = ImapService(
        house.mailboxes,
        house.accounts,
        ImapLimits(
            command_octets_max=settings.imap.command_octets_max,
            append_octets_max=settings.smtp.message_octets_max,
            login_limit_s=settings.imap.login_limit_s,
            idle_limit_s=settings.imap.idle_limit_s,
        ),
        settings.server.hostname,
        settings.imap.poll_s,
        announcements=announcements,
        push_tokens=house.push_tokens,
        tokens=make_tokens(house),
    )
    return lambda is_tls: lambda: imap.session(is_tls=is_tls)


def _pop3(house: House) -> Sessions:
    from mailstead.services.pop3.session import Pop3Service

    pop3 = Pop3Service(
        house.mailboxes, house.accounts, house.settings.pop3, house.settings.server.hostname, make_tokens(house)
    )
    return lambda is_tls: lambda: pop3.session(is_tls=is_tls)


def _sieve(house: House) -> Sessions:
    from mailstead.services.managesieve.session import ManageSieveService

    sieve = ManageSieveService(
        house.filters, house.accounts, house.settings.sieve, house.settings.server.hostname, make_tokens(house)
    )
    return lambda is_tls: lambda: sieve.session(is_tls=is_tls)


MAKE_SESSIONS: Final[dict[str, Callable[[House], Sessions]]] = {
    "mx": _mx,
    "submission": _submission,
    "imap": _imap,
    "pop3": _pop3,
    "sieve": _sieve,
}
"""By service; the keys are those of `services.LISTENING`."""
