"""The DMARC aggregate report as XML: written and read.

Reading is by expat alone, and ends at the first sign of a DTD: without one there are no entities that could unfold or
lead elsewhere. Time grows with the size, which is bounded.

Spec: RFC 9990 §3, appendix A; RFC 7489 appendix C (the older form, without a namespace); attack row 38.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import Final, NamedTuple, NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape

from mailstead.mailauth.daily_counts import day_end
from mailstead.mailauth.dmarc_record import Record
from mailstead.mailauth.report_mail import Reporter
from mailstead.mailauth.report_parts import ROWS_MAX, BadReport, attached, harmless, unpacked
from mailstead.model.address import normal_domain
from mailstead.model.errors import BadAddress
from mailstead.model.reports import Report, ReportRow

NAMESPACE: Final = "urn:ietf:params:xml:ns:dmarc-2.0"
DEPTH_MAX: Final = 20
VALUE_LENGTH_MAX: Final = 1000
COUNT_MAX: Final = 10**12

_MEDIA_TYPES: Final = frozenset(
    {"application/gzip", "application/x-gzip", "application/zip", "application/x-zip-compressed", "text/xml",
     "application/xml"}
)  # fmt: skip
_DISPOSITIONS: Final = frozenset({"none", "pass", "quarantine", "reject"})


class Judged(NamedTuple):
    """What was found about messages alike, and what became of them."""

    source: str
    """IP address of the client."""
    disposition: str
    """``none``, ``pass``, ``quarantine`` or ``reject``."""
    override: str
    """Why that is not what the domain asks for: ``local_policy``, ``trusted_forwarder`` …; empty: it is."""
    is_dkim_aligned: bool
    is_spf_aligned: bool
    header_from: str
    envelope_from: str
    dkim: tuple[tuple[str, str, str], ...]
    """Domain, selector, result."""
    spf: tuple[str, str]
    """Domain, result."""


@dataclass(frozen=True, slots=True)
class Published:
    """The record under which messages were judged."""

    domain: str
    record: Record


def written(
    published: Published, day: date, counts: Iterable[tuple[Judged, int]], reporter: Reporter, report_id: str
) -> str:
    """Write the report about a domain's day. Spec: RFC 9990 §3.1."""
    end_s = int(day_end(day).timestamp())
    record = published.record
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<feedback xmlns="{NAMESPACE}">\n<version>1.0</version>\n<report_metadata>\n',
        _element("org_name", reporter.organization),
        _element("email", reporter.address),
        _element("report_id", report_id),
        f"<date_range><begin>{end_s - 86400}</begin><end>{end_s - 1}</end></date_range>\n",
        "<generator>Mailstead</generator>\n</report_metadata>\n<policy_published>\n",
        _element("domain", published.domain),
        _element("p", record.policy or "none"),
        _element("sp", record.subdomain_policy or "none"),
        _element("np", record.nonexistent_policy or "none"),
        _element("adkim", "s" if record.is_dkim_strict else "r"),
        _element("aspf", "s" if record.is_spf_strict else "r"),
        _element("testing", "y" if record.is_testing else "n"),
        "<discovery_method>treewalk</discovery_method>\n",
        "</policy_published>\n",
    ]
    parts += [_record(judged, count) for judged, count in counts]
    parts.append("</feedback>\n")
    return "".join(parts)


def _record(judged: Judged, count: int) -> str:
    """Spec: RFC 9990 §3.1.1.7 to §3.1.1.13."""
    reason = f"<reason>{_element('type', judged.override)}</reason>\n" if judged.override else ""
    dkim = "".join(
        f"<dkim>{_element('domain', domain)}{_element('selector', selector)}{_element('result', result)}</dkim>\n"
        for domain, selector, result in judged.dkim
    )
    spf_domain, spf_result = judged.spf
    return (
        f"<record>\n<row>\n{_element('source_ip', judged.source)}<count>{count}</count>\n<policy_evaluated>\n"
        f"{_element('disposition', judged.disposition)}"
        f"{_element('dkim', 'pass' if judged.is_dkim_aligned else 'fail')}"
        f"{_element('spf', 'pass' if judged.is_spf_aligned else 'fail')}{reason}"
        f"</policy_evaluated>\n</row>\n<identifiers>\n"
        f"{_element('header_from', judged.header_from)}{_element('envelope_from', judged.envelope_from)}"
        f"</identifiers>\n<auth_results>\n{dkim}"
        f"<spf>{_element('domain', spf_domain)}<scope>mfrom</scope>\n{_element('result', spf_result)}</spf>\n"
        "</auth_results>\n</record>\n"
    )


def _element(name: str, value: str) -> str:
    """Values come from strangers' mail; XML has no way at all to write most control characters."""
    return f"<{name}>{escape(harmless(value, VALUE_LENGTH_MAX))}</{name}>\n"


def parse_report(octets: bytes, received_at: datetime) -> Report:
    """Read a report as it has come: a mail, or XML, packed or not. May take long: not for the event loop.

    Whether the domain is ours is for the caller to see. Of more rows than we keep, the last one tells the sum.
    Spec: RFC 9990 §3, §5.4.
    Errors: BadReport.
    """
    problem = BadReport("no DMARC report is in it")
    for candidate in attached(octets, _MEDIA_TYPES, (".xml", ".xml.gz", ".zip", ".gz")):
        try:
            return _Reader().read(unpacked(candidate), received_at)
        except BadReport as bad:
            problem = bad
    raise problem


class _Reader:
    """One pass over one report: only the elements that we keep are looked at."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._text = ""
        self._facts: dict[str, str] = {}
        self._record: dict[str, str] = {}
        self._rows: list[ReportRow] = []
        self._rest_count = 0

    def read(self, octets: bytes, received_at: datetime) -> Report:
        """Errors: BadReport."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_dtd
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(octets, True)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise BadReport(f"cannot be read: {error}") from None
        return self._report(received_at)

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._path.append(name.rpartition(" ")[2])
        self._text = ""
        if len(self._path) > DEPTH_MAX or self._path[0] != "feedback":
            raise BadReport("is not of the form of a report")

    def _characters(self, text: str) -> None:
        if len(self._text) < VALUE_LENGTH_MAX:
            self._text += text[:VALUE_LENGTH_MAX]

    def _end(self, _: str) -> None:
        path = "/".join(self._path[1:])
        if path == "record":
            self._finish_record()
        elif path.startswith("record/"):
            self._record.setdefault(path, self._text.strip())
        else:
            self._facts.setdefault(path, self._text.strip())
        self._path.pop()
        self._text = ""

    def _finish_record(self) -> None:
        """Make a row of what was gathered; one without address or count says nothing."""
        found, self._record = self._record, {}
        count = _number(found.get("record/row/count", ""))
        try:
            source = str(ip_address(found.get("record/row/source_ip", "")))
        except ValueError:
            return
        if not 0 < count <= COUNT_MAX:
            return
        if len(self._rows) >= ROWS_MAX - 1:
            self._rest_count += count
            return
        evaluated = "record/row/policy_evaluated"
        disposition = found.get(f"{evaluated}/disposition", "").lower()
        detail = (
            f"spf={_pass_or_fail(found.get(f'{evaluated}/spf'))} dkim={_pass_or_fail(found.get(f'{evaluated}/dkim'))}"
            f" header_from={harmless(found.get('record/identifiers/header_from', ''))}"
        )
        self._rows.append(ReportRow(count, source, disposition if disposition in _DISPOSITIONS else "none", detail))

    def _report(self, received_at: datetime) -> Report:
        """Errors: BadReport."""
        facts = self._facts
        try:
            domain = normal_domain(facts.get("policy_published/domain", "").removesuffix("."))
            begin, end = (
                datetime.fromtimestamp(int(facts.get(f"report_metadata/date_range/{name}", "")), UTC)
                for name in ("begin", "end")
            )
        except (BadAddress, ValueError, OverflowError, OSError) as error:
            raise BadReport(f"lacks a domain or a time: {error}") from None
        if self._rest_count:
            self._rows.append(ReportRow(self._rest_count, "", "", "all further rows"))
        return Report(
            kind="dmarc",
            domain=domain,
            reporter=harmless(facts.get("report_metadata/org_name", "")),
            report_id=harmless(facts.get("report_metadata/report_id", "")),
            begin=begin,
            end=end,
            received_at=received_at,
            rows=tuple(self._rows),
        )


def _refuse_dtd(*_: object) -> NoReturn:
    raise BadReport("has a document type, which no report needs")


def _number(text: str) -> int:
    """Give a count; -1 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1


def _pass_or_fail(text: str | None) -> str:
    return "pass" if text is not None and text.lower() == "pass" else "fail"
