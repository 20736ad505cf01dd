"""Addresses as tables: out and in again, and what spreadsheets make of them."""

import csv
import io

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadImport, NoSuchDomain
from mailstead.model.people import Group, Listing, ObjectId, User, UserId
from mailstead.policy.address_rules import AddressWishes
from mailstead.usecases.address_book import AddressBook, target_text
from mailstead.usecases.address_tables import ROWS_MAX, AddressTables
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.passwords import HashCost, Passwords

DOMAIN = "example.test"
TABLE = """\
name,recipients,description,labels,is_enabled,has_imap,max_quota
sales,a@example.org b@example.org,"the shop, mostly","one, two",yes,no,
box,,,,,yes,1 GB
a+b,a@example.org,,,,,
sales,a@example.org,,,,,
off,a@example.org,,,no,,
none,nonsense,,,,,
odd,a@example.org,,,perhaps,,
"""


@pytest.fixture
async def book(storage, accounts, clock):
    passwords = Passwords(clock, HashCost(1, 8))
    yield AddressBook(storage, accounts, Aliases(storage), passwords)
    passwords.close()


@pytest.fixture
async def tables(book):
    return AddressTables(book)


@pytest.fixture
async def owner(storage, domains):
    user_id = UserId(ObjectId("0" * 24))
    await storage.people.add_user(User(user_id, "o@example.net"), None)
    return Actor(None, Address.parse("o@example.net"), user_id=user_id, groups={DOMAIN: Group.ADMIN})


async def names(book, owner):
    return [one.entry.owner.address.local_part for one in (await book.list(owner, DOMAIN, Listing())).items]


async def test_each_line_is_made_or_says_why_not_and_a_dry_run_says_the_same(tables, book, owner):
    tried = await tables.import_(owner, DOMAIN, TABLE, is_dry_run=True)
    assert await names(book, owner) == []
    done = await tables.import_(owner, DOMAIN, TABLE)
    assert [(one.line, one.name, one.is_made) for one in done] == [
        (2, "sales", True),
        (3, "box", True),
        (4, "a+b", False),
        (5, "sales", False),
        (6, "off", True),
        (7, "none", False),
        (8, "odd", False),
    ]
    assert [(one.line, one.name, one.is_made) for one in tried] == [(one.line, one.name, one.is_made) for one in done]
    assert all(bool(one.message) is not one.is_made for one in (*tried, *done))
    assert await names(book, owner) == ["box", "off", "sales"]
    sales = await book.get(owner, DOMAIN, "sales")
    assert [target_text(target) for target in sales.entry.owner.targets] == ["a@example.org", "b@example.org"]
    assert (sales.entry.owner.description, sales.entry.profile.labels) == ("the shop, mostly", ("one", "two"))
    assert (await book.get(owner, DOMAIN, "box")).account.quota_octets == 1 << 30
    assert not (await book.get(owner, DOMAIN, "off")).entry.owner.is_enabled


async def test_what_goes_out_comes_in_again(tables, book, owner):
    await tables.import_(owner, DOMAIN, TABLE)
    formula = '=HYPERLINK("http://x.test","y")'
    await book.create(owner, DOMAIN, AddressWishes(name="-x", recipients=("192.0.2.1",), description=formula))
    await book.create(owner, DOMAIN, AddressWishes(name="*", recipients=("example.org", "mail.example.org:26")))
    text = await tables.export(owner, DOMAIN)
    before = (await book.list(owner, DOMAIN, Listing())).items
    for shown in before:
        await book.delete(owner, DOMAIN, shown.entry.profile.object_id)
    assert all(one.is_made for one in await tables.import_(owner, DOMAIN, text))
    after = (await book.list(owner, DOMAIN, Listing())).items
    assert await tables.export(owner, DOMAIN) == text
    assert [one.entry.profile.labels for one in after] == [one.entry.profile.labels for one in before]
    assert {one.entry.owner.description for one in after if one.account is None} >= {formula}


@pytest.mark.parametrize("begin", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", " =1", "|x", "%x"])
async def test_attack_100_nothing_in_a_table_is_a_formula(tables, book, owner, begin):
    await book.create(owner, DOMAIN, AddressWishes(name="x", recipients=("a@example.org",), labels=(begin,)))
    [_, row] = csv.reader(io.StringIO(await tables.export(owner, DOMAIN)))
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "|", "%")) for cell in row)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "recipients\na@b.c", "name,nonsense\na,b", "name,name\na,b", 'name\n"a', "name\na,b,c"]
)
async def test_what_is_no_such_table(tables, owner, text):
    with pytest.raises(BadImport):
        await tables.import_(owner, DOMAIN, text)


async def test_a_table_is_bounded(tables, owner):
    with pytest.raises(BadImport, match=str(ROWS_MAX)):
        await tables.import_(owner, DOMAIN, "name\n" + "x\n" * (ROWS_MAX + 1))


async def test_tables_of_the_command_line_come_in(tables, book, owner):
    text = "alias,targets,enabled,disabled_code,expires_at,description,masked\ninfo@example.test,a@b.example,no,421,,x,no\n"
    assert [(one.name, one.is_made) for one in await tables.import_(owner, DOMAIN, text)] == [("info", True)]
    assert (await book.get(owner, DOMAIN, "info")).entry.owner.disabled_code == 421


async def test_attack_092_strangers_have_no_tables(tables, domains):
    stranger = Actor(None, Address.parse("s@example.net"), user_id=UserId(ObjectId("1" * 24)), groups={})
    with pytest.raises(NoSuchDomain):
        await tables.export(stranger, DOMAIN)
    with pytest.raises(NoSuchDomain):
        await tables.import_(stranger, DOMAIN, TABLE)
