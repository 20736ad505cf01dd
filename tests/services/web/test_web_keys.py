"""Keys over HTTPS by both methods, to whoever asks, for addresses that have one and want it."""

import pytest

from mailstead.config.settings import Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.mime.openpgp_keys import published
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.policy.address_rules import AddressWishes
from mailstead.policy.web_key import key_digest
from mailstead.usecases.web_keys import WebKeys
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from mime.test_openpgp_keys import ALICE
from services.web.serving import serving

HOST = "mail.example.test"
DIGEST = key_digest("alice")
ROOT = "/.well-known/openpgpkey"
DIRECT = f"{ROOT}/hu/{DIGEST}"
ADVANCED = f"{ROOT}/example.test/hu/{DIGEST}"
BOTH = [("example.test", DIRECT), ("openpgpkey.example.test", ADVANCED)]
KEY = published(ALICE, "alice@example.test")


@pytest.fixture
async def web(tmp_path):
    settings = Settings(
        server=Server(hostname=HOST, data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=WebSettings(listen_tls=("127.0.0.1:0",)),
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        await house.domains.add(ADMINISTRATOR, "other.test")
        await house.accounts.create(ADMINISTRATOR, Address.parse("Alice@example.test"), Secret("pw-never-in-a-log"))
        async with serving(tmp_path / "data", lambda certificates: make_web_service(house, certificates)) as web:
            web.house = house
            await wish(web, public_key=ALICE)
            yield web


async def wish(web, name="alice", **wishes):
    return await web.house.address_book.change(ADMINISTRATOR, "example.test", name, AddressWishes(**wishes))


async def ask(web, host, path):
    return await web.get(host, path, tls=web.tls())


@pytest.mark.parametrize(("host", "path"), BOTH)
@pytest.mark.parametrize("query", ["", "?l=alice", "?l=Alice", "?l=ALICE"])
async def test_a_key_is_given_binary_to_programs_in_browsers_too(web, host, path, query):
    answer = await ask(web, host, path + query)
    assert (answer.status, answer.body) == (200, KEY)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "path"), [("example.test", ROOT), ("openpgpkey.example.test", f"{ROOT}/example.test")]
)
async def test_the_policy_is_there_and_empty(web, host, path):
    answer = await ask(web, host, f"{path}/policy")
    assert (answer.status, answer.body) == (200, b"")


ELSEWHERE = [
    ("openpgpkey.example.test", DIRECT),
    ("openpgpkey.example.test", f"{ROOT}/policy"),
    ("example.test", ADVANCED),
    (HOST, ADVANCED),
    (HOST, DIRECT),
    (HOST, f"{ROOT}/policy"),
    ("openpgpkey.other.test", ADVANCED),
    ("other.test", DIRECT),
    ("openpgpkey.other.test", ADVANCED.replace("example", "other")),
    ("openpgpkey.example.test", f"{ROOT}/other.test/policy"),
    ("openpgpkey.example.test", f"{ROOT}/exa%20mple.test/policy"),
    ("example.test", f"{ROOT}/hu/{key_digest('bob')}"),
    ("example.test", f"{ROOT}/hu/{key_digest('bob')}?l=bob"),
    ("example.test", f"{DIRECT}?l=bob"),
    ("example.test", f"{DIRECT}?l={'a' * 5000}"),
    ("example.test", f"{ROOT}/hu/alice?l=alice"),
    ("example.test", f"{DIRECT}x"),
    ("example.test", f"{ROOT}/hu/"),
    ("openpgpkey.example.test", "/mail/config-v1.1.xml"),
]


async def test_all_else_is_not_there(web):
    for host, path in ELSEWHERE:
        answer = await ask(web, host, path)
        assert answer.status == 404, (host, path)
        assert b"alice" not in answer.body


async def test_attack_091_the_host_of_keys_is_there_for_domains_of_ours_only(web):
    assert (await ask(web, "openpgpkey.elsewhere.test", f"{ROOT}/elsewhere.test/policy")).status == 421


@pytest.mark.parametrize(
    "wishes",
    [
        {"has_wkd_disabled": True},
        {"public_key": ""},
        {"public_key": "no key"},
        {"public_key": ALICE.replace("PUBLIC", "PRIVATE")},
        {"is_enabled": False},
    ],
)
async def test_who_does_not_want_it_or_has_no_key_is_as_unknown_as_nobody(web, wishes):
    nobody = await ask(web, "example.test", f"{ROOT}/hu/{key_digest('nobody')}")
    await wish(web, **wishes)
    for query in ("?l=alice", ""):
        answer = await ask(web, "example.test", DIRECT + query)
        assert (answer.status, answer.body) == (nobody.status, nobody.body) == (404, b"Not found\n")


async def test_aliases_have_keys_and_patterns_have_none(web):
    for name in ("sales", "*", "/^x-(.+)$/"):
        made = AddressWishes(name=name, recipients=("alice@example.test",), public_key=ALICE)
        await web.house.address_book.create(ADMINISTRATOR, "example.test", made)
    # No user id of the key has the alias's address.
    assert (await ask(web, "example.test", f"{ROOT}/hu/{key_digest('sales')}?l=sales")).status == 404
    keys, people = WebKeys(web.house.storage, web.house.clock), web.house.storage.people
    reasons = {name: keys.of(await people.address_entry("example.test", name)).why_not for name in ("sales", "*")}
    assert reasons == {
        "sales": "No user id of the key has the address sales@example.test",
        "*": "The address is switched off, or stands for many",
    }


async def test_the_owner_is_told_where_it_is_and_why_not(web):
    keys, people = WebKeys(web.house.storage, web.house.clock), web.house.storage.people
    found = keys.of(await people.address_entry("example.test", "alice"))
    assert found.url == f"https://openpgpkey.example.test{ADVANCED}"
    assert (found.octets, found.why_not) == (KEY, "")
    for wishes, why in (
        ({"has_wkd_disabled": True}, "does not want"),
        ({"has_wkd_disabled": False, "public_key": ALICE.replace("PUBLIC", "PRIVATE")}, "secret key"),
        ({"public_key": " "}, "no public key"),
    ):
        await wish(web, **wishes)
        found = keys.of(await people.address_entry("example.test", "alice"))
        assert found.octets == b""
        assert why in found.why_not


async def test_an_id_is_no_local_part(web):
    entry = await web.house.storage.people.address_entry("example.test", "alice")
    name = entry.profile.object_id
    assert (await ask(web, "example.test", f"{ROOT}/hu/{key_digest(name)}?l={name}")).status == 404


async def test_who_asks_without_the_name_makes_us_look_once(web, monkeypatch):
    looked = []
    people = web.house.storage.people
    real = type(people).address_entries

    async def counted(self, *words, **more):
        looked.append(words)
        return await real(self, *words, **more)

    monkeypatch.setattr(type(people), "address_entries", counted)
    for number in range(5):
        await ask(web, "example.test", f"{ROOT}/hu/{key_digest(str(number))}")
    assert len(looked) == 1
