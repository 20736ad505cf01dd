"""Looking after the server over the API: queue, trace, DNS, doctor, keys, terms, reports, senders, audit, backups."""

from datetime import timedelta

import pytest

from mailstead.config.settings import Backup
from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.queue import Destination, DestinationKind, ItemKind, NewItem, NewRecipient
from mailstead.model.reports import Report, ReportRow
from mailstead.model.trace import TraceEvent
from services.api.asking import asking

ADMIN = "server admin"


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path, backup=Backup(target=str(tmp_path / "backups"))) as api:
        yield api


async def put(api, queue_id, *domains):
    now = api.house.clock.now()
    recipients = tuple(
        NewRecipient(Recipient(Address("bob", domain)), Destination(DestinationKind.DOMAIN, domain))
        for domain in domains
    )
    item = NewItem(
        queue_id,
        ItemKind.SUBMISSION,
        Address("alice", "example.test"),
        recipients,
        b"Subject: x\r\n\r\n",
        now,
        now + timedelta(days=5),
    )
    await api.house.storage.queue.put([item])


# queue


async def test_the_queue_is_shown_page_by_page(api):
    for number in range(3):
        await put(api, f"q{number}", "a.test")
    first = (await api.ask("GET", "/v1/queue?limit=2", by=ADMIN)).json()
    assert [item["queue_id"] for item in first["items"]] == ["q0", "q1"]
    assert first["items"][0]["recipients"][0]["address"] == "bob@a.test"
    assert first["items"][0]["recipients"][0]["state"] == "waiting"
    assert first["counts"]["waiting"] == 3
    rest = (await api.ask("GET", f"/v1/queue?limit=2&after={first['next_after']}", by=ADMIN)).json()
    assert [item["queue_id"] for item in rest["items"]] == ["q2"]
    assert rest["next_after"] is None


async def test_mail_is_held_released_and_cancelled_and_a_dry_run_only_counts(api):
    await put(api, "q1", "a.test", "b.test")
    await put(api, "q2", "c.test")
    held = await api.ask("POST", "/v1/queue/hold?dry_run=true", {"queue_ids": ["q1"]}, by=ADMIN)
    assert held.json() == {"recipients": 2}
    assert (await api.ask("GET", "/v1/queue?state=held", by=ADMIN)).json()["items"] == []
    assert (await api.ask("POST", "/v1/queue/hold", {"queue_ids": "q1"}, by=ADMIN)).json() == {"recipients": 2}
    await api.house.audit.settle()
    noted = (await api.ask("GET", "/v1/audit?verb=queue.", by=ADMIN)).json()
    assert [(each["verb"], each["object"]) for each in noted] == [("queue.hold", "q1")]
    assert (await api.ask("POST", "/v1/queue/release", {"address": "@b.test"}, by=ADMIN)).json() == {"recipients": 2}
    assert (await api.ask("POST", "/v1/queue/retry", {"destination": "c.test"}, by=ADMIN)).json() == {"recipients": 1}
    assert (await api.ask("POST", "/v1/queue/cancel", {"all": True}, by=ADMIN)).json() == {"recipients": 3}
    assert (await api.ask("GET", "/v1/queue", by=ADMIN)).json()["items"] == []
    gone = await api.ask("DELETE", "/v1/queue/finished", by=ADMIN)
    assert gone.json() == {"messages": 2}


async def test_a_message_that_waits_is_shown_whole(api):
    await put(api, "q1", "a.test")
    shown = await api.ask("GET", "/v1/queue/q1", by=ADMIN)
    assert [item["queue_id"] for item in shown.json()] == ["q1"]
    octets = await api.ask("GET", "/v1/queue/q1/message", by=ADMIN)
    assert octets.body.endswith(b"Subject: x\r\n\r\n")
    assert octets.headers["content-type"] == "message/rfc822"
    assert octets.headers["content-disposition"].startswith("attachment")
    missing = await api.ask("GET", "/v1/queue/none", by=ADMIN)
    assert (missing.status, missing.headers["content-type"]) == (404, "application/problem+json")
    places = (await api.ask("GET", "/v1/queue/destinations", by=ADMIN)).json()
    assert [(place["name"], place["waiting_count"]) for place in places] == [("a.test", 1)]


@pytest.mark.parametrize("chosen", [{}, {"queue_ids": ["q1"], "all": True}, {"address": "x.test", "all": True}])
async def test_what_is_to_be_changed_has_to_be_said_in_one_way(api, chosen):
    refused = await api.ask("POST", "/v1/queue/cancel", chosen, by=ADMIN)
    assert (refused.status, refused.message) == (400, "Say what: queue_ids, or address and destination, or all")


@pytest.mark.parametrize("role", ["domain admin", "member", "stranger"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/queue"),
        ("POST", "/v1/queue/cancel"),
        ("GET", "/v1/doctor"),
        ("GET", "/v1/backups"),
        ("POST", "/v1/backups"),
        ("GET", "/v1/suppressions"),
        ("GET", "/v1/users"),
        ("GET", "/v1/system"),
    ],
)
async def test_attack_092_the_server_is_its_administrators_alone(api, role, method, path):
    content = {"all": True} if path.endswith("cancel") else None
    assert (await api.ask(method, path, content, by=role)).status == 403


# trace


async def test_a_message_is_traced(api):
    for step, facts in (("received", {"recipient": "alice@example.test"}), ("delivered", {"reply": "250 2.0.0"})):
        api.house.storage.trace.record(
            TraceEvent(api.house.clock.now(), "q1", "in", step, mail_from="eve@x.test", domain="example.test", **facts)
        )
    found = (await api.ask("GET", "/v1/trace?address=alice%40example.test", by=ADMIN)).json()
    assert [message["queue_id"] for message in found] == ["q1"]
    assert [step["step"] for step in found[0]["steps"]] == ["received", "delivered"]
    assert found[0]["mail_from"] == "eve@x.test"


async def test_attack_092_others_messages_are_not_traced(api):
    api.house.storage.trace.record(
        TraceEvent(api.house.clock.now(), "q1", "in", "received", recipient="alice@example.test", domain="example.test")
    )
    assert (await api.ask("GET", "/v1/trace", by="stranger")).json() == []
    assert (await api.ask("GET", "/v1/trace?queue_id=q1", by="stranger")).json() == []
    (found,) = (await api.ask("GET", "/v1/trace?queue_id=q1", by="domain admin")).json()
    assert found["queue_id"] == "q1"


# DNS, doctor, keys, terms


async def test_the_records_of_host_and_domain_are_told(api):
    host = (await api.ask("GET", "/v1/dns", by=ADMIN)).json()
    assert {record["type"] for record in host} & {"A", "AAAA", "TXT"}
    records = (await api.ask("GET", "/v1/domains/example.test/dns", by="domain admin")).json()
    mx = next(record for record in records if record["type"] == "MX")
    assert mx["name"] == "example.test"
    assert mx["zone_line"].startswith("example.test.")


async def test_without_a_dns_provider_nothing_is_written_and_it_is_said_why(api):
    refused = await api.ask("POST", "/v1/domains/example.test/dns", {}, by=ADMIN)
    assert refused.status == 409
    assert "dns_provider.kind" in refused.message


async def test_keys_are_rotated_and_never_shown(api):
    path = "/v1/domains/example.test/dkim"
    first = (await api.ask("GET", path, by="domain admin")).json()
    assert {key["state"] for key in first} == {"active"}
    made = await api.ask("POST", f"{path}/rotate", by="domain admin")
    assert made.status == 201
    active = (await api.ask("POST", f"{path}/activate", by="domain admin")).json()
    retired = next(key["selector"] for key in active if key["state"] == "retired")
    assert (await api.ask("DELETE", f"{path}/{retired}", by="domain admin")).status == 204
    assert (await api.ask("DELETE", f"{path}/{retired}", by="domain admin")).status == 404
    assert b"PRIVATE" not in made.body
    refused = await api.ask("POST", f"{path}/import", {"selector": "s1", "private_key": "no key"}, by="domain admin")
    assert refused.status == 400
    assert "no key" not in refused.message


async def test_terms_are_told_with_their_help_and_changed(api):
    path = "/v1/domains/example.test/terms"
    terms = {term["name"]: term for term in (await api.ask("GET", path, by="domain admin")).json()["terms"]}
    assert terms["keeps_trace"]["value"] == "yes"
    assert terms["webhook_key"]["value"] == "(hidden)"
    assert "webhooks" in terms["webhook_key"]["help"]
    changed = (await api.ask("PUT", path, {"terms": {"keeps_trace": "no"}}, by="domain admin")).json()
    assert {term["name"]: term["value"] for term in changed["terms"]}["keeps_trace"] == "no"
    refused = await api.ask("PUT", path, {"terms": {"keeps_traces": "no"}}, by="domain admin")
    assert refused.status == 400
    assert "did you mean keeps_trace" in refused.message
    profiles = (await api.ask("GET", "/v1/profiles", by="member")).json()
    assert [profile["name"] for profile in profiles] == ["mail", "chatmail"]


@pytest.mark.parametrize("what", ["dns", "doctor", "dkim", "terms", "reports"])
async def test_attack_092_a_domain_is_not_there_for_who_has_no_part_in_it(api, what):
    path = f"/v1/domains/example.test/{what}"
    assert (await api.ask("GET", path, by="stranger")).status == 404
    seen_by_members = what in {"dns", "terms"}
    assert (await api.ask("GET", path, by="member")).status == (200 if seen_by_members else 403)


async def test_reports_of_a_domain(api):
    now = api.house.clock.now()
    row = ReportRow(7, "192.0.2.1", "none", "spf=pass dkim=pass")
    report = Report("dmarc", "example.test", "big.test", "r1", now - timedelta(days=1), now, now, (row,))
    await api.house.storage.reports.add(report)
    found = (await api.ask("GET", "/v1/domains/example.test/reports", by="domain admin")).json()
    assert [(each["reporter"], each["rows"][0]["count"]) for each in found] == [("big.test", 7)]
    assert (await api.ask("GET", "/v1/reports?kind=tls", by=ADMIN)).json() == []
    assert (await api.ask("GET", "/v1/reports?kind=spf", by=ADMIN)).status == 400


# suppressions, senders


async def test_addresses_are_suppressed_and_not_any_more(api):
    made = await api.ask("POST", "/v1/suppressions", {"address": "bob@a.test"}, by=ADMIN)
    assert (made.status, made.json()["reason"]) == (201, "suppressed by the administrator")
    listed = await api.ask("GET", "/v1/suppressions", by=ADMIN)
    assert [each["address"] for each in listed.json()] == ["bob@a.test"]
    assert listed.headers["x-item-count"] == "1"
    assert (await api.ask("DELETE", "/v1/suppressions/bob%40a.test", by=ADMIN)).status == 204
    assert (await api.ask("DELETE", "/v1/suppressions/bob%40a.test", by=ADMIN)).status == 404


async def test_owners_say_whose_mail_is_taken(api):
    added = await api.ask("POST", "/v1/senders/denied", {"entries": "eve@x.test, y.test"})
    assert added.json() == {"entries": ["eve@x.test", "y.test"]}
    assert (await api.ask("GET", "/v1/senders/allowed")).json() == {"entries": []}
    assert (await api.ask("DELETE", "/v1/senders/denied/y.test")).json() == {"entries": ["eve@x.test"]}
    assert (await api.ask("GET", "/v1/senders/denied", by="bob@example.test")).json() == {"entries": []}
    assert (await api.ask("GET", "/v1/senders/denied", by=ADMIN)).status == 401
    refused = await api.ask("POST", "/v1/senders/denied", {"entries": "$¼å"})
    assert (refused.status, "is no entry" in refused.message) == (400, True)


# audit


async def test_what_was_done_is_read_by_who_may(api):
    await api.ask("POST", "/v1/suppressions", {"address": "bob@a.test"}, by=ADMIN)
    await api.ask("PUT", "/v1/domains/example.test/terms", {"terms": {"keeps_trace": "no"}}, by="domain admin")
    await api.house.audit.settle()
    theirs = (await api.ask("GET", "/v1/audit?verb=domain.", by="domain admin")).json()
    assert {entry["domain"] for entry in theirs} == {"example.test"}
    assert any(entry["actor"] == "domain-admin@people.test" for entry in theirs)
    strange = (await api.ask("GET", "/v1/audit", by="stranger")).json()
    assert not [entry for entry in strange if entry["domain"] == "example.test"]
    assert (await api.ask("GET", "/v1/audit?domain=example.test", by="stranger")).status == 404


async def test_attack_100_formulas_of_the_audit_log_are_texts_in_a_table(api):
    await api.house.accounts.begin_attempt("nobody@example.test", _peer(), "imap")
    api.house.audit.note_failed_log_in("=HYPERLINK(1)@example.test", "192.0.2.1", "imap")
    await api.house.audit.close()
    table = (await api.ask("GET", "/v1/audit/export", by=ADMIN)).body.decode()
    assert table.splitlines()[0].startswith("id,at,actor")
    assert "HYPERLINK(1)" in table.upper()
    assert ",=HYPERLINK" not in table.upper()
    assert '"=HYPERLINK' not in table.upper()


def _peer():
    from mailstead.model.envelope import Peer

    return Peer("192.0.2.1", 4711)


# accounts, users, tokens, system


async def test_accounts_are_made_changed_and_removed(api):
    carol = {"address": "carol@example.test", "password": "a long enough password"}
    made = await api.ask("POST", "/v1/accounts", carol, by="domain admin")
    assert (made.status, made.json()["address"]) == (201, "carol@example.test")
    change = {"quota_octets": "1 GB", "forward_to": ["x@elsewhere.test"], "is_enabled": False, "sending_limit": 10}
    changed = (await api.ask("PUT", "/v1/accounts/carol%40example.test", change, by=ADMIN)).json()
    assert changed["quota_octets"] == 1024**3
    assert changed["forward_to"] == ["x@elsewhere.test"]
    assert (changed["is_enabled"], changed["sending_limit"]) == (False, 10)
    listed = await api.ask("GET", "/v1/accounts?domain=example.test&limit=2", by="domain admin")
    assert [each["address"] for each in listed.json()] == ["alice@example.test", "bob@example.test"]
    assert listed.headers["x-item-count"] == "3"
    assert (await api.ask("DELETE", "/v1/accounts/carol%40example.test", by="stranger")).status == 404
    assert (await api.ask("DELETE", "/v1/accounts/carol%40example.test", by="domain admin")).status == 204
    assert (await api.ask("GET", "/v1/accounts/carol%40example.test", by=ADMIN)).status == 404


async def test_users_are_made_changed_and_removed(api):
    made = await api.ask(
        "POST", "/v1/users", {"address": "dan@people.test", "password": "a long enough password"}, by=ADMIN
    )
    assert made.status == 201
    path = f"/v1/users/{made.json()['id']}"
    assert (await api.ask("PUT", path, {"given_name": "Dan"}, by=ADMIN)).json()["given_name"] == "Dan"
    assert (await api.ask("GET", "/v1/users?q=dan%40", by=ADMIN)).json()[0]["address"] == "dan@people.test"
    assert (await api.ask("GET", path, by="stranger")).status == 404
    assert (await api.ask("DELETE", path, by=ADMIN)).status == 204
    assert (await api.ask("GET", path, by=ADMIN)).status == 404


async def test_attack_092_nobody_makes_himself_an_administrator(api):
    await api.token("member")
    path = f"/v1/users/{api.users['member'].user_id}"
    assert (await api.ask("PUT", path, {"is_admin": True}, by="member")).status == 403
    assert (await api.ask("GET", path, by="member")).json()["is_admin"] is False


async def test_tokens_are_made_shown_once_and_ended(api):
    made = await api.ask("POST", "/v1/tokens", {"label": "script", "networks": "192.0.2.0/24"}, by=ADMIN)
    assert made.status == 201
    text = made.json()["token"]
    listed = await api.ask("GET", "/v1/tokens", by=ADMIN)
    assert text not in listed.body.decode()
    assert "script" in {each["label"] for each in listed.json()}
    elsewhere = await api.ask("GET", "/v1/tokens", authorization=f"Bearer {text}")
    assert elsewhere.status == 401
    made = await api.ask("POST", "/v1/tokens", {"label": "here", "networks": "127.0.0.0/8"}, by=ADMIN)
    text = made.json()["token"]
    assert (await api.ask("GET", "/v1/tokens", authorization=f"Bearer {text}")).status == 200
    assert (await api.ask("DELETE", f"/v1/tokens/{made.json()['id']}", by=ADMIN)).status == 204
    assert (await api.ask("GET", "/v1/tokens", authorization=f"Bearer {text}")).status == 401


async def test_the_server_at_a_glance(api):
    shown = (await api.ask("GET", "/v1/system", by=ADMIN)).json()
    assert (shown["domain_count"], shown["account_count"]) == (1, 2)
    assert shown["disk_total_octets"] > shown["disk_free_octets"] > 0


# backups


async def ended(api, kind):
    await api.app._house.administration.backup_jobs.settle()
    jobs = (await api.ask("GET", "/v1/backups", by=ADMIN)).json()["jobs"]
    (job,) = [job for job in jobs if job["kind"] == kind]
    assert job["ended_at"] is not None
    return job


async def test_a_backup_is_made_and_tried(api):
    started = await api.ask("POST", "/v1/backups", by=ADMIN)
    assert (started.status, started.json()["ended_at"]) == (202, None)
    assert (await api.ask("POST", "/v1/backups/drill", by=ADMIN)).status == 409
    job = await ended(api, "backup")
    assert job["error"] is None
    assert (await api.ask("GET", "/v1/backups", by=ADMIN)).json()["snapshots"] == [job["result"]["snapshot"]]
    await api.ask("POST", "/v1/backups/drill", by=ADMIN)
    drill = await ended(api, "drill")
    assert (drill["error"], drill["result"]["account_count"], drill["result"]["findings"]) == (None, 2, [])


async def test_a_drill_without_a_backup_says_so(api):
    assert (await api.ask("GET", "/v1/backups", by=ADMIN)).json()["snapshots"] == []
    await api.ask("POST", "/v1/backups/drill", by=ADMIN)
    assert (await ended(api, "drill"))["error"] == "There are no backups at that place"
