"""Domains over the API: the reference's endpoints and objects, members and invitations, passwords of catch-alls."""

from types import SimpleNamespace

import pytest

from mailstead.model.address import Address
from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from services.api.asking import asking
from services.api.reviewed import check_golden

PATH = "/v1/domains"
ONE = f"{PATH}/example.test"
ADMIN = "domain admin"


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path, people=()) as asked:
        yield asked


async def put(api, by=ADMIN, path=ONE, **fields):
    return await api.ask("PUT", path, fields, by=by)


async def test_the_object_is_as_the_reference_has_it(api):
    answer = await put(
        api,
        allow_subdomain_forwarding=True,
        has_phishing_protection="no",
        max_quota_per_alias="1 GB",
        retention_days=7,
        bounce_webhook="https://example.org/hook",
        restricted_alias_names="ceo, cfo",
        allowlist=["example.org", "192.0.2.0/24"],
        denylist="*.zip\nspam@example.net",
        smtp_port=2525,
        has_delivery_logs=False,
    )
    assert answer.status == 200, answer.body
    told = answer.json()
    assert (told["allowlist"], told["denylist"]) == (["example.org", "192.0.2.0/24"], ["*.zip", "spam@example.net"])
    assert told["smtp_dns_records"]["dkim"]["value"].startswith("v=DKIM1")
    told["smtp_dns_records"]["dkim"] = "<dkim>"
    check_golden("domain", told)
    for domain in ("example.test", "EXAMPLE.test", told["id"]):
        shown = await api.ask("GET", f"{PATH}/{domain}", by=ADMIN)
        assert shown.json() == answer.json()


async def test_put_is_partial(api):
    before = (await put(api, retention_days=7, smtp_port=2525, bounce_webhook="https://example.org/hook")).json()
    after = (await put(api, has_newsletter=True)).json()
    assert after | {"updated_at": before["updated_at"], "has_newsletter": False} == before
    assert (await put(api, bounce_webhook=False)).json()["bounce_webhook"] is False


async def test_the_port_counts_for_recipients_that_are_hosts(api):
    await put(api, smtp_port=2525)
    made = await api.ask("POST", f"{ONE}/aliases", {"name": "a", "recipients": ["mail.example.org"]}, by=ADMIN)
    assert made.json()["recipients"] == ["mail.example.org:2525"]


async def test_what_is_refused(api):
    wrong = (
        {"retention_days": 31},
        {"bounce_webhook": "ftp://example.org"},
        {"bounce_webhook": "https://exa mple.org"},
        {"max_quota_per_alias": "200 GB"},
        {"max_quota_per_alias": "many"},
        {"allowlist": ["no entry!"]},
        {"denylist": [f"a{number}.example" for number in range(1001)]},
        {"smtp_port": 0},
        {"plan": "gold"},
        {"has_custom_s3": True},
        {"s3_bucket": "x"},
        {"nonsense": 1},
        {"name": "other.test"},
    )
    before = (await api.ask("GET", ONE, by=ADMIN)).json()
    for fields in wrong:
        answer = await put(api, **fields)
        assert answer.status == 400, (fields, answer.body)
    assert (await api.ask("GET", ONE, by=ADMIN)).json() == before


async def test_domains_are_added_with_a_catch_all_and_removed_with_their_aliases(api):
    await api.token(ADMIN)
    made = await api.ask("POST", PATH, {"domain": "New.test", "team_domain": "example.test"}, by="server admin")
    assert made.status == 200, made.body
    told = made.json()
    assert (told["name"], told["has_catchall"]) == ("new.test", True)
    assert {member["user"]["email"]: member["group"] for member in told["members"]} == {
        "server-admin@people.test": "admin",
        "domain-admin@people.test": "admin",
    }
    catch_all = (await api.ask("GET", f"{PATH}/new.test/aliases/*", by="server admin")).json()
    assert catch_all["recipients"] == ["server-admin@people.test"]
    assert (await api.ask("POST", PATH, {"domain": "new.test"}, by="server admin")).status == 409
    for fields in ({"domain": "no domain"}, {"domain": "x.test", "catchall": ["nonsense"]}, {}):
        assert (await api.ask("POST", PATH, fields, by="server admin")).status == 400
    assert (await api.ask("GET", f"{PATH}/x.test", by="server admin")).status == 404  # nothing stays half done
    other = {"domain": "x.test", "catchall": "a@example.org, b@example.org"}
    assert (await api.ask("POST", PATH, other, by="server admin")).json()["has_catchall"]
    assert not (await api.ask("POST", PATH, {"domain": "y.test", "catchall": "off"}, by="server admin")).json()[
        "has_catchall"
    ]
    assert (await api.ask("DELETE", f"{PATH}/new.test", by="server admin")).json()["name"] == "new.test"
    assert (await api.ask("GET", f"{PATH}/new.test", by="server admin")).status == 404


async def test_a_domain_with_mailboxes_is_not_removed(api):
    await api.ask("POST", f"{ONE}/aliases", {"name": "box", "has_imap": True}, by=ADMIN)
    await api.ask("POST", f"{ONE}/aliases", {"name": "a", "recipients": "a@example.org"}, by=ADMIN)
    answer = await api.ask("DELETE", ONE, by=ADMIN)
    assert (answer.status, "mailboxes" in answer.message) == (409, True)
    assert (await api.ask("GET", f"{ONE}/aliases/a", by=ADMIN)).status == 200


async def test_lists(api):
    await api.token("stranger")
    for by, names in ((ADMIN, ["example.test"]), ("server admin", ["example.test", "other.test"])):
        answer = await api.ask("GET", PATH, by=by)
        assert [each["name"] for each in answer.json()] == names
        assert answer.headers["x-item-count"] == str(len(names))
    answer = await api.ask("GET", f"{PATH}?sort=-name&limit=1", by="server admin")
    assert [each["name"] for each in answer.json()] == ["other.test"]
    assert [each["name"] for each in (await api.ask("GET", f"{PATH}?q=EXAM", by="server admin")).json()] == [
        "example.test"
    ]
    assert len((await api.ask("GET", f"{PATH}?name=example.test", by=ADMIN)).json()) == 1
    assert (await api.ask("GET", f"{PATH}?name=other.test", by=ADMIN)).json() == []


async def test_attack_092_members_see_less_and_change_nothing(api):
    await put(api, bounce_webhook="https://example.org/hook", restricted_alias_names=["ceo"])
    await api.token("member")
    whole = (await api.ask("GET", ONE, by=ADMIN)).json()
    for answer in (await api.ask("GET", ONE, by="member"), await api.ask("GET", PATH, by="member")):
        seen = answer.json() if isinstance(answer.json(), dict) else answer.json()[0]
        hidden = set(whole) - set(seen)
        assert hidden == {
            "bounce_webhook",
            "custom_verification",
            "allowlist",
            "denylist",
            "restricted_alias_names",
            "s3_endpoint",
            "s3_region",
            "s3_bucket",
        }
        assert (seen["invites"], b"hook" in answer.body) == ([], False)
    member = api.users["member"].user_id
    calls = (
        ("PUT", ONE, {"retention_days": 1}),
        ("DELETE", ONE, None),
        ("GET", f"{ONE}/verify-records", None),
        ("GET", f"{ONE}/verify-smtp", None),
        ("POST", f"{ONE}/test-s3-connection", {}),
        ("PUT", f"{ONE}/allowlist", {"allowlist": []}),
        ("PUT", f"{ONE}/denylist", {"denylist": []}),
        ("GET", f"{ONE}/catch-all-passwords", None),
        ("POST", f"{ONE}/catch-all-passwords", {}),
        ("DELETE", f"{ONE}/catch-all-passwords/{'0' * 24}", None),
        ("POST", f"{ONE}/invites", {"email": "x@example.org"}),
        ("DELETE", f"{ONE}/invites", {"email": "x@example.org"}),
        ("PUT", f"{ONE}/members/{member}", {"group": "admin"}),
    )
    for method, path, content in calls:
        assert (await api.ask(method, path, content, by="member")).status == 403, (method, path)
        assert (await api.ask(method, path, content, by="stranger")).status == 404, (method, path)
        assert (await api.ask(method, path, content, by=None)).status == 401, (method, path)
    assert (await api.ask("GET", ONE, by="stranger")).status == 404
    assert (await api.ask("POST", PATH, {"domain": "x.test"}, by=ADMIN)).status == 403
    assert (await api.ask("GET", ONE, by=ADMIN)).json() == whole


async def test_lists_of_senders(api):
    assert (await put(api, path=f"{ONE}/allowlist", allowlist="a.test b@c.test")).json()["allowlist"] == [
        "a.test",
        "b@c.test",
    ]
    assert (await put(api, path=f"{ONE}/denylist", denylist=["*.gov.br", "192.0.2.1"])).json()["denylist"] == [
        "*.gov.br",
        "192.0.2.1",
    ]
    assert (await put(api, path=f"{ONE}/allowlist", allowlist=[])).json()["allowlist"] == []
    assert (await put(api, path=f"{ONE}/allowlist", allowlist=["no entry!"])).status == 400


async def test_records_are_looked_for_and_what_was_found_is_told(api, monkeypatch):
    found = {"mx": Health.OK, "dkim m2026-rsa": Health.OK, "spf": Health.OK, "dmarc": Health.ERROR}

    async def records(_actor, domain):
        return [Diagnosis(name, status, "found", "expected", "Do.", domain) for name, status in found.items()]

    monkeypatch.setattr("mailstead.wiring.api.make_doctor", lambda _house: SimpleNamespace(records=records))
    answer = await api.ask("GET", f"{ONE}/verify-records", by=ADMIN)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    answer = await api.ask("GET", f"{ONE}/verify-smtp", by=ADMIN)
    assert (answer.status, answer.message) == (400, "dmarc: found, expected expected. Do.")

    async def told():
        domain = (await api.ask("GET", ONE, by=ADMIN)).json()
        return {name: domain[f"has_{name}_record"] for name in ("mx", "txt", "dkim", "return_path", "dmarc")}

    assert await told() == {"mx": True, "txt": True, "dkim": True, "return_path": True, "dmarc": False}
    found |= {"mx": Health.ERROR, "dmarc": Health.OK}
    assert (await api.ask("GET", f"{ONE}/verify-records", by=ADMIN)).status == 400
    assert (await api.ask("GET", f"{ONE}/verify-smtp", by=ADMIN)).status == 200
    assert await told() == {"mx": False, "txt": True, "dkim": True, "return_path": True, "dmarc": True}


async def test_there_are_no_buckets_of_domains(api):
    answer = await api.ask("POST", f"{ONE}/test-s3-connection", {}, by=ADMIN)
    assert (answer.status, "backup" in answer.message) == (400, True)


async def test_passwords_of_the_catch_all(api):
    path = f"{ONE}/catch-all-passwords"
    made = (await api.ask("POST", path, {"description": "shop"}, by=ADMIN)).json()
    assert (made["username"], made["description"], set(made)) == (
        "*@example.test",
        "shop",
        {"id", "username", "password", "description"},
    )
    peer = Peer("192.0.2.1", 4711, tls_version="TLSv1.3")
    actor = await api.house.accounts.log_in("*@example.test", Secret(made["password"]), peer, "smtp")
    assert await api.house.addresses.may_send_as(actor, Address("anything", "example.test"))
    listed = await api.ask("GET", path, by=ADMIN)
    assert listed.json() == [{"id": made["id"], "description": "shop"}]
    assert (await api.ask("POST", path, {"new_password": 'a"b-never-in-a-log'}, by=ADMIN)).status == 400
    assert (await api.ask("DELETE", f"{path}/{made['id']}", by=ADMIN)).status == 200
    assert (await api.ask("DELETE", f"{path}/{made['id']}", by=ADMIN)).status == 404
    assert (await api.ask("GET", path, by=ADMIN)).json() == []


async def test_invitations_and_members(api):
    await api.token("stranger")
    assert (await api.ask("GET", f"{ONE}/invites", by="stranger")).status == 404
    invited = await api.ask("POST", f"{ONE}/invites", {"email": "stranger@people.test", "group": "user"}, by=ADMIN)
    assert invited.status == 200, invited.body
    assert invited.json()["invites"] == [{"email": "stranger@people.test", "group": "user"}]
    withdrawn = await api.ask("DELETE", f"{ONE}/invites", {"email": "stranger@people.test"}, by=ADMIN)
    assert withdrawn.json()["invites"] == []
    assert (await api.ask("GET", f"{ONE}/invites", by="stranger")).status == 404
    await api.ask("POST", f"{ONE}/invites", {"email": "stranger@people.test"}, by=ADMIN)
    domain_id = invited.json()["id"]
    taken = await api.ask("GET", f"{PATH}/{domain_id}/invites", by="stranger")
    assert (taken.status, taken.json()["name"], "allowlist" in taken.json()) == (200, "example.test", False)
    stranger = api.users["stranger"].user_id
    changed = await api.ask("PUT", f"{ONE}/members/{stranger}", {"group": "admin"}, by=ADMIN)
    assert {"admin"} == {each["group"] for each in changed.json()["members"] if each["user"]["id"] == stranger}
    assert (await api.ask("PUT", f"{ONE}/members/{stranger}", {"group": "king"}, by=ADMIN)).status == 400
    removed = await api.ask("DELETE", f"{ONE}/members/{stranger}", by=ADMIN)
    assert stranger not in [each["user"]["id"] for each in removed.json()["members"]]
    assert (await api.ask("GET", ONE, by="stranger")).status == 404
    member = (await api.ask("GET", ONE, by="member")) and api.users["member"].user_id
    assert (await api.ask("DELETE", f"{ONE}/members/{member}", by="member")).status == 200  # goes by himself
    assert (await api.ask("GET", ONE, by="member")).status == 404
