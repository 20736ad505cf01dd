"""The first stage: is the machine fit, and what is wanted? Nothing is written before the last answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mailstead.cli.errors import FOUND
from mailstead.cli.setup.options import Options
from mailstead.cli.setup.questions import Questions
from mailstead.cli.terminal import Terminal
from mailstead.model.errors import BadSettings
from mailstead.policy import set_up
from mailstead.policy.set_up import Answers

if TYPE_CHECKING:
    from mailstead.config.settings import Settings
    from mailstead.model.diagnosis import Diagnosis

NONE: Final = "none"
"""What an option says to leave something out."""
_CREDENTIALS: Final = {
    "dns_provider.api_token": ("MAILSTEAD_DNS_PROVIDER_API_TOKEN", "Token of its API"),
    "dns_provider.aws_access_key_id": ("AWS_ACCESS_KEY_ID", "Access key id of Amazon"),
    "dns_provider.aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY", "Secret access key of Amazon"),
    "dns_provider.rfc2136_server": ("MAILSTEAD_DNS_PROVIDER_RFC2136_SERVER", "Address of the name server"),
    "dns_provider.rfc2136_key_name": ("MAILSTEAD_DNS_PROVIDER_RFC2136_KEY_NAME", "Name of the TSIG key"),
    "dns_provider.rfc2136_key": ("MAILSTEAD_DNS_PROVIDER_RFC2136_KEY", "The TSIG key, in base64"),
}
"""Of each setting the variable that may have it, and the question."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What came of it."""

    findings: tuple[Diagnosis, ...]
    settings: Mapping[str, str]
    file: Path


def configure(terminal: Terminal, questions: Questions, options: Options, file: Path) -> Configured:
    """Look, ask, write. `file` is where settings go, unless `options` name a `.env`. Ends where it is not wanted."""
    import asyncio

    from mailstead.telemetry import log
    from mailstead.wiring.machine_checks import make_preflight

    log.configure("error", "console")  # findings are told as such
    before = settings_before(terminal, options, file)
    domain, kind, hostname = _names(questions, options, before)
    addresses = _addresses(questions, options, before)
    target, lists = _asked_outside(questions, options, before)
    findings = asyncio.run(make_preflight(before, hostname, addresses, target, lists).examine())
    terminal.remark(told(findings))
    bad = [each.name for each in findings if each.status in {"warning", "error"}]
    if bad and not questions.confirm(f"Go on, although not all is well ({', '.join(bad)})?", proposal=False):
        terminal.fail(FOUND, "Nothing was changed", "Mend what is told above, or go on with --yes.", "NotFit")
    about_you = "Your address elsewhere, for the trial and the certificate authority (may be empty)"
    answers = Answers(
        domain=domain,
        kind=kind,
        hostname=hostname,
        email=questions.text("--email", about_you, options.email, before.acme.email),
        public_addresses=addresses,
        port_25_target=target,
        backup=ask_backup(terminal, questions, options, before),
        **_certificate(questions, options, before),
    )
    settings = {**(_places(options, file)), **set_up.settings_of(answers)}
    destination = options.env_file or file
    _show(terminal, settings, destination)
    if not questions.confirm(f"Write this to {destination}?"):
        terminal.fail(FOUND, "Nothing was changed", "With --yes nobody is asked.", "NotConfirmed")
    write_settings(settings, options.env_file, file)
    terminal.remark(f"Written to {destination}")
    return Configured(tuple(findings), settings, destination)


def settings_before(terminal: Terminal, options: Options, file: Path) -> Settings:
    """Give the settings as they are, which propose the answers. Errors: BadSettings."""
    from mailstead.cli.containers import further_settings
    from mailstead.config.env_file import read_env_file
    from mailstead.config.load import load

    environ: dict[str, str] = dict(os.environ)
    if options.env_file is not None:
        environ |= read_env_file(options.env_file)
        return load(terminal.config, environ, further_settings(environ)).settings
    if file.exists():
        return load(file, environ, further_settings(environ)).settings
    return load(None, environ, {key: (text, "setup") for key, text in _places(options, file).items()}).settings


def _places(options: Options, file: Path) -> Mapping[str, str]:
    """Give folders and ports for a machine that has no settings file yet; the image has them by itself."""
    from mailstead.wiring.systemd import DEFAULTS

    return {} if options.env_file is not None or file.exists() else DEFAULTS


def _names(questions: Questions, options: Options, before: Settings) -> tuple[str, str, str]:
    def fault(name: str) -> str:
        return (
            ""
            if set_up.is_host(name)
            else f"{name!r} is no name of a domain, such as example.org"
            if name
            else "a domain is needed"
        )

    domain = questions.text(
        "--domain", "Domain of the mail addresses", _lower(options.domain), before.setup.domain, fault
    )
    kind = questions.choice(
        "--kind",
        "What it is to be",
        options.kind,
        before.setup.kind,
        set_up.KINDS,
    )
    proposal = domain if kind == "chatmail" else f"mail.{domain}"
    if before.server.hostname != "localhost" and before.setup.domain in {"", domain}:
        proposal = before.server.hostname
    hostname = questions.text("--hostname", "Name of this machine", _lower(options.hostname), proposal, fault)
    return domain, kind, hostname


def _lower(name: str | None) -> str | None:
    return None if name is None else name.strip().rstrip(".").lower()


def _addresses(questions: Questions, options: Options, before: Settings) -> tuple[str, ...]:
    from mailstead.net.probes import leaving_addresses

    def fault(text: str) -> str:
        for each in text.split(","):
            try:
                ip_address(each.strip())
            except ValueError:
                return f"{each.strip()!r} is no IP address"
        return ""

    found = options.addresses or before.server.public_addresses or leaving_addresses()
    if found and not fault(",".join(found)):
        return tuple(each.strip() for each in found)
    text = questions.text(
        "--address",
        "Public IP address of this machine",
        ",".join(found) or None,
        NONE,
        lambda text: "" if text == NONE else fault(text),
    )
    return () if text == NONE else tuple(each.strip() for each in text.split(","))


def _asked_outside(questions: Questions, options: Options, before: Settings) -> tuple[str, tuple[str, ...]]:
    """Whom to ask from outside: a mail exchanger and block lists, neither without being told to."""
    target = options.port_25_target
    if target is None:
        target = before.doctor.port_25_target or set_up.PORT_25_TARGET
        if not questions.confirm(f"Try whether port 25 is open outward, at {target}?"):
            target = NONE
    lists = options.blocklists
    if lists is None:
        lists = ",".join(set_up.DNS_BLOCKLISTS)
        if not questions.confirm(f"Ask whether the address of this machine has a bad name, at {lists}?"):
            lists = NONE
    return ("" if target == NONE else target), (() if lists == NONE else tuple(lists.split(",")))


def told(findings: list[Diagnosis]) -> str:
    """Give findings for people."""
    lines = ["This machine"]
    for each in findings:
        lines.append(f"  {each.status:<8} {each.name}: {each.found}")
        if each.advice and each.status != "ok":
            lines.append(f"           {each.advice}")
    return "\n".join(lines)


def _certificate(questions: Questions, options: Options, before: Settings) -> dict[str, Any]:
    """Ask for the way to a certificate; give these `Answers`."""
    said = options.certificate or ("cloudflare" if options.provider_ini else None)
    method = questions.choice("--cert-method", "Certificate", said, _method_before(before), set_up.CERTIFICATES)
    tls, acme = before.tls, before.acme
    if method == "self-signed":
        return {"certificate": method}
    if method == "files":
        return {
            "certificate": method,
            "certificate_file": questions.text(
                "--certificate-file",
                "File of the certificate (PEM)",
                options.certificate_file,
                tls.certificate_file,
                _needed,
            ),
            "key_file": questions.text("--key-file", "File of its key (PEM)", options.key_file, tls.key_file, _needed),
        }
    return {
        "certificate": method,
        "acme_directory_url": options.acme_directory or acme.directory_url or set_up.LETS_ENCRYPT,
        "acme_ca_file": acme.ca_file if options.acme_ca_file is None else options.acme_ca_file,
        "provider": _provider(questions, options, before, method),
    }


def _needed(text: str) -> str:
    return "" if text else "a path is needed"


def _method_before(before: Settings) -> str:
    if before.tls.certificate_file:
        return "files"
    if before.acme.directory_url and before.acme.challenge == "dns-01":
        return before.dns_provider.kind or "http"
    if before.setup.domain and not before.acme.directory_url:
        return "self-signed"  # it was chosen
    return "alpn" if before.acme.directory_url and before.acme.challenge == "tls-alpn-01" else "http"


def _provider(questions: Questions, options: Options, before: Settings, method: str) -> dict[str, str]:
    """Ask for what a DNS provider wants to see: from certbot's file, the environment, as it was, or the terminal."""
    from mailstead.policy.dns_ini import settings_of

    given: Mapping[str, str] = {}
    if options.provider_ini is not None:
        try:
            given = settings_of(options.provider_ini.read_text("utf-8"))
        except OSError as error:
            raise BadSettings(f"{options.provider_ini} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadSettings(f"{options.provider_ini} is not UTF-8") from None
    found = {}
    for key in set_up.PROVIDERS.get(method, ()):
        variable, question = _CREDENTIALS[key]
        kept = getattr(before.dns_provider, key.partition(".")[2]) if before.dns_provider.kind == method else ""
        kept = kept if isinstance(kept, str) else kept.reveal()
        found[key] = questions.secret(variable, question, given.get(key) or os.environ.get(variable, ""), kept)
    return found


def ask_backup(terminal: Terminal, questions: Questions, options: Options, before: Settings) -> dict[str, str]:
    """Ask where backups go."""

    def fault(text: str) -> str:
        if text == NONE or set_up.backup_target(text):
            return ""
        return f"{text!r} is no bucket (name or s3://name/prefix), and no folder that begins with /"

    text = questions.text(
        "--bucket", f"Backups: a bucket of S3, a folder, or {NONE}", options.bucket, before.backup.target or NONE, fault
    )
    if text == NONE:
        terminal.remark("No backups: whoever loses this disk loses all mail.")
        return {"backup.target": ""}
    target = set_up.backup_target(text) or ""
    if not target.startswith("s3://"):
        return {"backup.target": target}
    kept = before.backup
    endpoint = options.s3_endpoint or os.environ.get("AWS_ENDPOINT_URL") or None
    question = "Address of the S3 provider (empty: Amazon)"
    return {
        "backup.target": target,
        "backup.s3_endpoint": questions.text("--s3-endpoint", question, endpoint, kept.s3_endpoint),
        **{
            f"backup.s3_{name}": questions.secret(variable, asked, os.environ.get(variable, ""), proposal)
            for name, variable, asked, proposal in (
                ("access_key_id", "AWS_ACCESS_KEY_ID", "Access key id", kept.s3_access_key_id),
                ("secret_access_key", "AWS_SECRET_ACCESS_KEY", "Secret key", kept.s3_secret_access_key.reveal()),
            )
        },
    }


def _show(terminal: Terminal, settings: Mapping[str, str], destination: Path) -> None:
    from mailstead.config.schema import entries

    secret = {entry.key for entry in entries() if entry.is_secret}
    lines = [f"  {key} = {'(hidden)' if key in secret else text}" for key, text in settings.items() if text]
    terminal.remark("\n".join([f"Settings for {destination}", *lines]))


def write_settings(settings: Mapping[str, str], env_file: Path | None, file: Path) -> None:
    """Write them; what is empty and was never said is not said now. Errors: BadSettings."""
    from mailstead.config.edit import change_file, said_in
    from mailstead.config.env_file import change_env_file, read_env_file
    from mailstead.config.schema import entries

    if env_file is None:
        there = said_in(file)
        change_file(file, {key: text for key, text in settings.items() if text or key in there}, "setup")
        return
    variables = {entry.key: entry.variable for entry in entries()}
    said = read_env_file(env_file)
    change_env_file(env_file, {key: text for key, text in settings.items() if text or variables[key] in said}, "setup")
