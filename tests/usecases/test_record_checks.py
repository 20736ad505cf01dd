"""The doctor knows every record that we ask to publish."""

import pytest

from mailstead.model.diagnosis import Health
from mailstead.model.directory import DomainTerms
from mailstead.policy.client_setup import SRV_LABELS, Offer
from mailstead.policy.dns_records import MailHost, Record, records_of_domain, records_of_host
from mailstead.ports.resolver import Answer
from mailstead.usecases.record_checks import RecordChecks

HOST = MailHost(
    "mx.example.test", ("192.0.2.7",), offers=tuple(Offer(service, 1, is_tls) for service, is_tls in SRV_LABELS)
)
PATH = Record("srv-path", "_caldavs._tcp.example.test", "TXT", "path=/dav/", "why", is_optional=True)


def checks(*texts):
    class Resolver:
        async def txt(self, _name):
            return Answer(tuple(texts))

    return RecordChecks(Resolver(), None, None, HOST)


def test_each_record_has_its_check():
    terms = DomainTerms(uses_dns_rules=True)
    wanted = {each.purpose for each in (*records_of_host(HOST), *records_of_domain("example.test", terms, HOST, []))}
    assert wanted <= set(checks()._checks)
    assert {"srv", "srv-path", "mx"} <= wanted


@pytest.mark.parametrize(
    ("texts", "health"),
    [((b"path=/dav/",), Health.OK), ((), Health.SKIPPED), ((b"path=/elsewhere/",), Health.WARNING)],
)
async def test_the_path_of_calendars(texts, health):
    assert (await checks(*texts).check(PATH)).status is health
