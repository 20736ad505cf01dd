"""The last stage, against the running house: domain, first account, DNS, a trial both ways, the link to log in with."""

from __future__ import annotations

import secrets
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import make_msgid
from typing import TYPE_CHECKING, Final, TypeVar

import typer

from mailstead.cli.errors import FOUND
from mailstead.cli.setup.options import Options
from mailstead.cli.setup.questions import Questions
from mailstead.cli.terminal import Terminal
from mailstead.cli.trial_mail import TRIAL_ERRORS, TrialProgram
from mailstead.policy import set_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstead.config.settings import Settings
    from mailstead.model.address import Address
    from mailstead.model.diagnosis import Diagnosis
    from mailstead.wiring.house import House

T = TypeVar("T")

DNS_LIMIT_S: Final = 600.0
DNS_AGAIN_S: Final = 15.0
TRIAL_LIMIT_S: Final = 30.0
OUTWARD_LIMIT_S: Final = 90.0
REPLY_LIMIT_S: Final = 300.0
LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Made:
    """The domain's first account."""

    address: Address
    url: str
    """Link to set the password with; empty where the account was there already."""
    app_password: str
    app_password_id: int


@dataclass(frozen=True, slots=True)
class Trial:
    """How a message fared."""

    is_well: bool | None
    """None: it was not tried, or is not decided yet."""
    found: str


def finish(terminal: Terminal, questions: Questions, options: Options) -> None:
    """Do it, and tell. Ends with 1 if a message does not come through."""
    with terminal.clear_errors():
        settings = terminal.load().settings
    domain = options.domain or settings.setup.domain
    kind = options.kind or settings.setup.kind
    if not set_up.is_host(domain):
        questions.refuse("--domain", "it is needed: `mailstead setup --stage configure` has not been here")
    made = terminal.run(lambda house: _make(house, domain, kind, options.account or f"admin@{domain}"))
    terminal.remark(f"{domain} is served: {set_up.KINDS[kind]}")
    records = _records(terminal, questions, options, domain)
    trials: dict[str, Trial] = {}
    if made is not None:
        try:
            trials = _trials(terminal, questions, options, settings, made)
        finally:
            terminal.run(lambda house: _remove_app_password(house, made))
    _say(terminal, settings, domain, made, records, trials)
    if any(trial.is_well is False for trial in trials.values()):
        raise typer.Exit(FOUND)


async def _make(house: House, domain: str, kind: str, account: str) -> Made | None:
    """Make what is not there yet; gives the account, where the domain has some that are made by hand."""
    from mailstead.model.address import Address
    from mailstead.model.directory import Account
    from mailstead.model.errors import DomainExists, PolicyRefused
    from mailstead.model.secret import Secret
    from mailstead.usecases.log_in_links import LIFE
    from mailstead.wiring.house import ADMINISTRATOR, log_in_url

    with suppress(DomainExists):
        await house.domains.add(ADMINISTRATOR, domain, kind)
    if (await house.domains.get(ADMINISTRATOR, domain)).terms.opens_accounts:
        return None
    address, url = Address.parse(account), ""
    found = await house.storage.directory.find(address)
    if found is None:
        quota = house.settings.store.account_quota_octets or None
        await house.accounts.create(ADMINISTRATOR, address, Secret(secrets.token_urlsafe(24)), quota)
        url = await log_in_url(house, ADMINISTRATOR, address, LIFE)
    elif not isinstance(found, Account):
        raise PolicyRefused(f"{address} is an alias: name an account with --account")
    await _make_administrator(house, address)
    new = await house.accounts.add_app_password(ADMINISTRATOR, address, "set-up", frozenset({"imap", "smtp"}))
    return Made(address, url, new.secret.reveal(), new.app_password.app_password_id)


async def _make_administrator(house: House, address: Address) -> None:
    """Let the first account look after the server, where nobody does yet."""
    from mailstead.model.errors import UserExists
    from mailstead.model.people import Listing
    from mailstead.wiring.house import ADMINISTRATOR

    if (await house.users.list(ADMINISTRATOR, Listing(limit=1))).item_count == 0:
        with suppress(UserExists):  # another set-up at the same moment
            await house.users.create(ADMINISTRATOR, address, is_admin=True)


async def _remove_app_password(house: House, made: Made) -> None:
    from mailstead.wiring.house import ADMINISTRATOR

    await house.accounts.remove_app_password(ADMINISTRATOR, made.address, made.app_password_id)


# records


def _records(terminal: Terminal, questions: Questions, options: Options, domain: str) -> list[Diagnosis]:
    """Show, write where that can be, and wait for the DNS; gives what is not as it should be."""

    async def look(house: House) -> list[Diagnosis]:
        from mailstead.wiring.doctor import make_doctor
        from mailstead.wiring.house import ADMINISTRATOR

        return await make_doctor(house).records(ADMINISTRATOR, domain)

    found = terminal.run(look)
    missing = [each for each in found if each.status == "error"]
    if not missing and any(each.status == "warning" for each in found):
        terminal.remark("The DNS cannot be seen from here, or is not as it should be: see mailstead doctor")
        return [each for each in found if each.status == "warning"]
    if not missing:
        terminal.remark("The DNS is as it should be")
        return []
    terminal.remark(terminal.run(lambda house: _lines(house, domain)))
    if terminal.run(_can_write) and questions.confirm("Write these records at the DNS provider?"):
        terminal.remark(terminal.run(lambda house: _write(house, domain)))
    if not options.wait_dns and not (questions.can_ask and questions.confirm("Wait until they can be seen?")):
        return missing
    end = time.monotonic() + DNS_LIMIT_S
    while missing and time.monotonic() < end:
        terminal.remark(f"Not there yet: {', '.join(each.name for each in missing)}")
        time.sleep(DNS_AGAIN_S)  # the DNS tells nobody when it has changed
        missing = [each for each in terminal.run(look) if each.status == "error"]
    return missing


async def _lines(house: House, domain: str) -> str:
    from mailstead.policy.dns_records import zone_line
    from mailstead.wiring.doctor import make_dns_plan
    from mailstead.wiring.house import ADMINISTRATOR

    plan = make_dns_plan(house)
    records = [*await plan.of_host(ADMINISTRATOR), *await plan.of_domain(ADMINISTRATOR, domain)]
    needed = [zone_line(record) for record in records if not record.is_optional]
    more = sum(record.is_optional for record in records)
    return "\n".join(
        [
            "Records to publish:",
            "",
            *needed,
            "",
            f"`mailstead dns {domain}` tells why each, and has {more} that are optional.",
        ]
    )


async def _can_write(house: House) -> bool:
    return bool(house.settings.dns_provider.kind)


async def _write(house: House, domain: str) -> str:
    """Add what is missing; what stands there and differs is told, and left to `mailstead dns --write`."""
    from mailstead.usecases.dns_writing import RecordState
    from mailstead.wiring.doctor import make_dns_writer
    from mailstead.wiring.house import ADMINISTRATOR

    writer = make_dns_writer(house)
    assert writer is not None
    compared = await writer.look(ADMINISTRATOR, domain)
    missing = [each for each in compared if each.state is RecordState.MISSING]
    lines = [
        f"  {each.state:<8} {each.record.name} {each.record.kind} {each.reason}".rstrip()
        for each in await writer.write(ADMINISTRATOR, missing)
    ]
    different = [each.record.name for each in compared if each.state is RecordState.DIFFERS]
    if different:
        lines.append(f"Others stand at {', '.join(different)}: see `mailstead dns {domain} --write`")
    return "\n".join(["At the DNS provider:", *lines] if lines else ["Nothing was missing at the DNS provider"])


# trials


def _trials(
    terminal: Terminal, questions: Questions, options: Options, settings: Settings, made: Made
) -> dict[str, Trial]:
    program = TrialProgram.of(settings, str(made.address), made.app_password)
    if program is None:
        return {"here": Trial(None, "submission and IMAP are not both here")}
    trials = {"here": _here(program)}
    _tell(terminal, "A message through this machine", trials["here"])
    email = options.email or settings.acme.email
    if not trials["here"].is_well or not email or email.rpartition("@")[2] == made.address.domain:
        return trials
    if not questions.confirm(f"Send a message to {email}, to see whether mail goes out?"):
        return trials
    trials["out"] = _outward(terminal, program, email)
    _tell(terminal, f"A message to {email}", trials["out"])
    if trials["out"].is_well and (options.wait_reply_s or questions.can_ask):
        terminal.remark(f"Now answer it from {email}. Ctrl-C goes on without.")
        trials["in"] = _reply(program, email, options.wait_reply_s or REPLY_LIMIT_S)
        _tell(terminal, f"An answer from {email}", trials["in"])
    return trials


def _tell(terminal: Terminal, what: str, trial: Trial) -> None:
    word = {True: "well", False: "FAILED", None: "open"}[trial.is_well]
    terminal.remark(f"{what}: {word}; {trial.found}")


def _here(program: TrialProgram) -> Trial:
    message_id = _message_id(program)
    text = "Welcome. This message has gone through your mail server, so it takes mail and delivers it.\n"
    begin = time.monotonic()
    try:
        program.send(program.address, "Your mail server works", text, message_id)
        found = _until(lambda: program.found_in("HEADER", "Message-ID", f'"{message_id}"'), TRIAL_LIMIT_S)
    except TRIAL_ERRORS as error:
        return Trial(False, str(error) or type(error).__name__)
    seconds = time.monotonic() - begin
    return Trial(True, f"there in {seconds:.1f} s") if found else Trial(False, "accepted, and did not arrive")


def _outward(terminal: Terminal, program: TrialProgram, email: str) -> Trial:
    """Send to somebody elsewhere, and ask the trace what his server has answered."""
    message_id = _message_id(program)
    text = (
        f"Your mail server {program.address.rpartition('@')[2]} has sent this, so mail goes out.\n\n"
        "If you found it among the junk, see `mailstead doctor`: records, reverse name and block lists decide that.\n"
        "Answer it, and you see that mail comes in, too.\n"
    )
    try:
        program.send(email, "Mail goes out", text, message_id)
    except TRIAL_ERRORS as error:
        return Trial(False, str(error) or type(error).__name__)

    async def look(house: House) -> tuple[str, str]:
        from mailstead.model.trace import TraceQuery
        from mailstead.usecases.traces import Traces
        from mailstead.wiring.house import ADMINISTRATOR

        for traced in await Traces(house.storage).messages(ADMINISTRATOR, TraceQuery(message_id=message_id), 10):
            for step in reversed(traced.steps):
                # A refusal makes a notice, which has attempts of its own, to our own account.
                if step.step == "attempt" and step.recipient.casefold() == email.casefold():
                    return step.decision, f"{step.peer} said: {step.reply}" if step.peer else step.reply
        return "", ""

    decision, said = _until(lambda: found if (found := terminal.run(look))[0] else None, OUTWARD_LIMIT_S) or ("", "")
    if not decision:
        return Trial(None, "it waits in the queue; `mailstead queue list` shows it")
    return Trial({"delivered": True, "failed": False}.get(decision), f"{decision}; {said}")


def _reply(program: TrialProgram, email: str, limit_s: float) -> Trial:
    try:
        mailbox = _until(lambda: program.found_in("FROM", f'"{email}"'), limit_s)
    except KeyboardInterrupt:
        return Trial(None, "not waited for")
    except TRIAL_ERRORS as error:
        return Trial(False, str(error) or type(error).__name__)
    return Trial(True, f"it is in {mailbox}") if mailbox else Trial(None, f"nothing came within {limit_s:.0f} s")


def _message_id(program: TrialProgram) -> str:
    return make_msgid(domain=program.address.rpartition("@")[2])


def _until(ask: Callable[[], T], limit_s: float) -> T:
    end = time.monotonic() + limit_s
    while not (found := ask()) and time.monotonic() < end:
        time.sleep(LOOK_AGAIN_S)  # others deliver it, and tell nobody here
    return found


def _backup_key(terminal: Terminal, settings: Settings) -> list[str]:
    """Give the key of the backups to somebody at a terminal; what is not one may be a log."""
    from mailstead.usecases.backup_vault import key_text
    from mailstead.wiring.backup import backup_key, note_key_shown

    if terminal.is_json or not sys.stdout.isatty():
        return ["Print the key of the backups, and put the paper away: mailstead backup key"]
    with terminal.clear_errors():
        key = backup_key(settings, makes=True)
        note_key_shown(settings, key)
    told = "The key of the backups. Print it, and put the paper away: without it no backup can be read."
    return [told, f"  {key_text(key)}"]


def _say(
    terminal: Terminal,
    settings: Settings,
    domain: str,
    made: Made | None,
    records: list[Diagnosis],
    trials: dict[str, Trial],
) -> None:
    lines = []
    if records:
        lines += ["Not yet in the DNS:", *(f"  {each.name}: {each.found}" for each in records)]
        lines += [f"Publish them (`mailstead dns {domain}`), then look again: mailstead doctor"]
    if settings.backup.target:
        lines += _backup_key(terminal, settings)
    if made is None:
        lines.append(f"Accounts come into being by logging in: https://{domain}/")
    elif made.url:
        lines += [f"Set the password of {made.address} here, once, within three days:", f"  {made.url}"]
    else:
        lines.append(f"{made.address} was there already; `mailstead account link {made.address}` prints a new link")
    lines.append("Is all well? mailstead doctor")
    terminal.say(
        "\n".join(lines),
        {
            "domain": domain,
            "account": str(made.address) if made else None,
            "log_in_url": made.url or None if made else None,
            "missing_records": [{"name": each.name, "found": each.found, "advice": each.advice} for each in records],
            "trials": {name: {"is_well": each.is_well, "found": each.found} for name, each in trials.items()},
        },
    )
