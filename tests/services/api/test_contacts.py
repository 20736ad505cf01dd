"""Contacts over HTTP: the fields of the reference, in both directions; what DAV clients put is there."""

import pytest

from mailstead.services.api.routes import contacts
from services.api.asking import PASSWORD, asking, basic
from services.api.golden import same_as_golden

VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u-1\r\nFN:Ada Lovelace\r\nEMAIL;TYPE=WORK:ada@example.test\r\nEND:VCARD\r\n"


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as made:
        yield made


async def test_a_contact_is_as_the_reference_has_it(api):
    body = {
        "full_name": "Ada Lovelace",
        "uid": "u-1",
        "emails": [{"value": "ada@example.test", "type": "work"}, "countess@example.test"],
        "phones": [{"value": "+44 20 7946 0000", "type": "cell"}],
        "addresses": [{"street": "12 St James's Sq.", "city": "London", "country": "UK", "type": "home"}],
        "is_group": "no",
    }
    answer = await api.ask("POST", "/v1/contacts", body)
    assert answer.status == 201
    made = answer.json()
    same_as_golden("contact", made, "id", "created_at", "updated_at")
    assert answer.headers["etag"] == f'"{made["etag"]}"'
    again = await api.ask("GET", f"/v1/contacts/{made['id']}")
    assert again.json() == made
    listed = await api.ask("GET", "/v1/contacts?q=countess")
    assert (listed.json(), listed.headers["x-item-count"]) == ([made], "1")
    assert (await api.ask("GET", "/v1/contacts?q=nobody")).json() == []


async def test_a_vcard_comes_back_octet_by_octet_and_a_form_changes_it(api):
    made = (await api.ask("POST", "/v1/contacts", {"content": VCARD})).json()
    assert made["content"] == VCARD
    path = f"/v1/contacts/{made['id']}"
    changed = (await api.ask("PUT", path, {"full_name": "Ada Byron", "etag": made["etag"]})).json()
    assert (changed["full_name"], changed["emails"]) == ("Ada Byron", [{"value": "ada@example.test", "type": "work"}])
    for headers, body in (({}, {"full_name": "Lost", "etag": made["etag"]}), ({"if_match": f'"{made["etag"]}"'}, {})):
        answer = await api.ask("PUT", path, {"full_name": "Lost", **body}, **headers)
        assert (answer.status, answer.json()["statusCode"]) == (412, 412)
    assert (await api.ask("PUT", path, {"is_group": True}, if_match=f'"{changed["etag"]}"')).json()["is_group"]
    assert (await api.ask("PUT", path, {}, if_match='"a", "b"')).status == 400
    assert (await api.ask("DELETE", path)).json()["id"] == made["id"]
    assert (await api.ask("GET", path)).status == 404


async def test_contacts_come_in_long_pages(api, monkeypatch):
    for number in range(3):
        await api.ask("POST", "/v1/contacts", {"full_name": f"Person {number}"})
    answer = await api.ask("GET", "/v1/contacts?limit=2&page=2")
    assert (len(answer.json()), answer.headers["x-page-count"]) == (1, "2")
    monkeypatch.setattr(contacts, "INLINE_MAX", 2)
    answer = await api.ask("GET", "/v1/contacts?limit=10000")
    assert sorted(each["full_name"] for each in answer.json()) == ["Person 0", "Person 1", "Person 2"]
    assert (await api.ask("GET", "/v1/contacts?limit=10001")).status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"content": "nonsense"}, 400),
        ({"full_name": "Ada", "is_admin": True}, 400),
        ({"full_name": "x" * 1001}, 400),
        ({"content": VCARD, "full_name": "Ada"}, 409),
    ],
)
async def test_attack_093_what_is_no_contact(api, body, status):
    await api.ask("POST", "/v1/contacts", {"content": VCARD})
    answer = await api.ask("POST", "/v1/contacts", body)
    assert (answer.status, answer.json()["statusCode"]) == (status, status)
    assert (await api.ask("GET", "/v1/contacts")).headers["x-item-count"] == "1"


async def test_attack_092_contacts_are_their_owners(api):
    made = (await api.ask("POST", "/v1/contacts", {"content": VCARD})).json()
    for method, body in (("GET", None), ("PUT", {"full_name": "Mine"}), ("DELETE", None)):
        answer = await api.ask(method, f"/v1/contacts/{made['id']}", body, by="bob@example.test")
        assert answer.status == 404
    assert (await api.ask("GET", "/v1/contacts", by="bob@example.test")).json() == []
    for role in ("server admin", "domain admin", None):
        assert (await api.ask("GET", "/v1/contacts", by=role)).status == 401
    answer = await api.ask("GET", "/v1/contacts", authorization=basic("alice@example.test", PASSWORD + "x"))
    assert answer.status == 401
