"""What the API tells of domains and addresses: the part of `ports.people.People` about profiles."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.directory import Domain
from mailstead.model.errors import BadTarget, NoSuchAddress, NoSuchDomain
from mailstead.model.ids import AccountId
from mailstead.model.people import (
    AddressEntry,
    AddressProfile,
    DomainEntry,
    DomainProfile,
    Listing,
    ObjectId,
    Page,
    UserId,
)
from mailstead.policy.targets import read_target, target_key
from mailstead.storage.embedded.directory import EmbeddedDirectory
from mailstead.storage.embedded.directory_reads import accounts_by_id, aliases_by_key
from mailstead.storage.embedded.directory_values import terms_of
from mailstead.storage.embedded.listings import bounds_of, order_of
from mailstead.storage.embedded.profile_writes import describe
from mailstead.storage.embedded.rows import select_one, select_packed

_DOMAIN_SORTS: Final = {
    "name": ("p.name",),
    "created_at": ("p.created_at_s", "p.name"),
    "updated_at": ("p.updated_at_s", "p.name"),
}
_ADDRESS_SORTS: Final = {
    "name": ("p.local_part",),
    "created_at": ("p.created_at_s", "p.local_part"),
    "updated_at": ("p.updated_at_s", "p.local_part"),
}
_DOMAIN: Final = "p.name, p.object_id, p.profile, p.created_at_s, p.updated_at_s, d.terms"
_ADDRESS_COLUMNS: Final = "p.key, address.account_id, p.object_id, p.user_id, p.profile, p.created_at_s, p.updated_at_s"
_ADDRESSES: Final = "FROM address_profile AS p JOIN address ON address.key = p.key"
_ADDRESS: Final = f"SELECT {_ADDRESS_COLUMNS} {_ADDRESSES}"


class _DomainWords(msgspec.Struct, omit_defaults=True):
    """The JSON of a domain's profile."""

    restricted_names: tuple[str, ...] = ()
    account_quota_octets_max: int = 0
    retention_days: int = 0
    bounce_webhook: str = ""
    kept: dict[str, Any] = {}


class _AddressWords(msgspec.Struct, omit_defaults=True):
    """The JSON of an address's profile."""

    description: str = ""
    labels: tuple[str, ...] = ()
    has_recipient_verification: bool = False
    verified_recipients: tuple[str, ...] = ()
    public_key: str = ""
    smime_certificate: str = ""
    has_pgp: bool = False
    has_smime: bool = False
    has_wkd_disabled: bool = False
    retention_days: int = 0
    settings: dict[str, Any] = {}
    locale: str = "en"
    made_by: str = ""


class EmbeddedProfiles:
    """Single entries are remembered by the directory, as nearly every request asks for some."""

    def __init__(self, directory: EmbeddedDirectory) -> None:
        self._directory = directory

    async def domain_entries(self, listing: Listing, names: Sequence[str] | None = None) -> Page[DomainEntry]:
        """See `People.domain_entries`."""
        return await self._directory.look_up(_domain_entries, listing, names)

    async def domain_entry(self, name_or_id: str) -> DomainEntry | None:
        """See `People.domain_entry`."""
        return await self._directory.recall(("domain entry", name_or_id), _domain_entry, name_or_id)

    async def set_domain_profile(self, name: str, profile: DomainProfile) -> None:
        """See `People.set_domain_profile`."""
        await self._directory.change(_set_domain_profile, name, profile)

    async def address_entries(
        self, domain: str, listing: Listing, *, user_id: UserId | None = None, target: str = "", local_part: str = ""
    ) -> Page[AddressEntry]:
        """See `People.address_entries`."""
        return await self._directory.look_up(_address_entries, domain, listing, user_id, target, local_part)

    async def address_entry(self, domain: str, name_or_id: str) -> AddressEntry | None:
        """See `People.address_entry`."""
        key = ("address entry", domain, name_or_id)
        return await self._directory.recall(key, _address_entry, domain, name_or_id)

    async def address_entry_of_account(self, account_id: AccountId) -> AddressEntry | None:
        """See `People.address_entry_of_account`."""
        return await self._directory.recall(("address entry", account_id), _entry_of_account, account_id)

    async def set_address_profile(self, domain: str, local_part: str, profile: AddressProfile) -> None:
        """See `People.set_address_profile`."""
        await self._directory.change(_set_address_profile, domain, local_part, profile)


def _domain_entries(db: apsw.Connection, listing: Listing, names: Sequence[str] | None) -> Page[DomainEntry]:
    conditions, parameters = ["TRUE"], dict[str, int | str]()
    if names is not None:
        conditions.append("p.name IN (SELECT value FROM json_each(:names))")
        parameters["names"] = msgspec.json.encode(list(names)).decode()
    if listing.text:
        conditions.append("instr(p.name, :text) > 0")
        parameters["text"] = listing.text.casefold()
    where = f"FROM domain_profile AS p WHERE {' AND '.join(conditions)}"
    (count,) = select_one(db, f"SELECT count(*) {where}", parameters)
    limit, offset = bounds_of(listing)
    order = order_of(listing, _DOMAIN_SORTS, "name")
    page = f"FROM (SELECT * {where} ORDER BY {order} LIMIT :limit OFFSET :offset) AS p JOIN domain AS d USING (name)"
    found = select_packed(db, _DOMAIN, page, parameters | {"limit": limit, "offset": offset}, f"ORDER BY {order}")
    return Page(tuple(_domain_entry_of(row) for row in found), count)


def _domain_entry(db: apsw.Connection, name_or_id: str) -> DomainEntry | None:
    select = f"SELECT {_DOMAIN} FROM domain_profile AS p JOIN domain AS d USING (name)"
    row = select_one(db, f"{select} WHERE p.name = ?", (name_or_id,)) or select_one(
        db, f"{select} WHERE p.object_id = ?", (name_or_id,)
    )
    return None if row is None else _domain_entry_of(row)


def _domain_entry_of(row: Any) -> DomainEntry:
    name, object_id, profile, created_at_s, updated_at_s, terms = row
    words = msgspec.json.decode(profile, type=_DomainWords)
    return DomainEntry(
        Domain(name, terms_of(terms)),
        DomainProfile(
            ObjectId(object_id),
            **msgspec.structs.asdict(words),
            created_at=_moment(created_at_s),
            updated_at=_moment(updated_at_s),
        ),
    )


def _set_domain_profile(db: apsw.Connection, name: str, profile: DomainProfile) -> None:
    words = _DomainWords(
        profile.restricted_names,
        profile.account_quota_octets_max,
        profile.retention_days,
        profile.bounce_webhook,
        dict(profile.kept),
    )
    db.execute(
        "UPDATE domain_profile SET profile = ?, updated_at_s = unixepoch() WHERE name = ?",
        (msgspec.json.encode(words).decode(), name),
    )
    if not db.changes():
        raise NoSuchDomain(domain=name)


def _address_entries(
    db: apsw.Connection, domain: str, listing: Listing, user_id: UserId | None, target: str, local_part: str
) -> Page[AddressEntry]:
    conditions, parameters = ["p.domain = :domain"], dict[str, int | str](domain=domain)
    if user_id is not None:
        conditions.append("p.user_id = :user_id")
        parameters["user_id"] = user_id
    if local_part:
        conditions.append("p.local_part = :local_part")
        parameters["local_part"] = local_part.casefold()
    if target:
        conditions.append(_LEADS_THERE)
        parameters |= _target_parameters(target)
    if listing.text:
        # instr knows no wildcards: what was typed stands for itself (attack row 75)
        conditions.append(
            "(instr(p.local_part, :text) > 0 OR instr(p.description_text, :text) > 0"
            " OR instr(p.labels_text, :text) > 0)"
        )
        parameters["text"] = listing.text.casefold()
    where = f"FROM address_profile AS p WHERE {' AND '.join(conditions)}"
    (count,) = select_one(db, f"SELECT count(*) {where}", parameters)
    limit, offset = bounds_of(listing)
    order = order_of(listing, _ADDRESS_SORTS, "name")
    keys = f"SELECT p.key {where} ORDER BY {order} LIMIT :limit OFFSET :offset"
    found = select_packed(
        db,
        _ADDRESS_COLUMNS,
        f"{_ADDRESSES} WHERE p.key IN ({keys})",
        parameters | {"limit": limit, "offset": offset},
        f"ORDER BY {order}",
    )
    return Page(_entries_of(db, found), count)


_LEADS_THERE: Final = """p.key IN (
    SELECT alias_key FROM alias_target WHERE target_key = :target
    UNION ALL
    SELECT address.key FROM account JOIN address ON address.account_id = account.account_id
    WHERE forward_to <> '[]' AND EXISTS (
        SELECT 1 FROM json_each(forward_to) AS one WHERE lower(one.value ->> 1) IN (:target, :target_text)
    )
)"""


def _target_parameters(text: str) -> dict[str, str]:
    try:
        target = read_target(text)
    except BadTarget:  # nothing leads to what is no target
        return {"target": text, "target_text": text}
    return {"target": target_key(target), "target_text": str(target).lower()}


def _address_entry(db: apsw.Connection, domain: str, name_or_id: str) -> AddressEntry | None:
    select = f"{_ADDRESS} WHERE p.domain = ?"
    row = select_one(db, f"{select} AND p.local_part = ?", (domain, name_or_id.casefold())) or select_one(
        db, f"{select} AND p.object_id = ?", (domain, name_or_id)
    )
    return None if row is None else _entries_of(db, [row])[0]


def _entry_of_account(db: apsw.Connection, account_id: AccountId) -> AddressEntry | None:
    row = select_one(db, f"{_ADDRESS} WHERE address.account_id = ?", (account_id,))
    return None if row is None else _entries_of(db, [row])[0]


def _entries_of(db: apsw.Connection, rows: Sequence[Any]) -> tuple[AddressEntry, ...]:
    accounts = accounts_by_id(db, [row[1] for row in rows if row[1] is not None])
    aliases = aliases_by_key(db, [row[0] for row in rows if row[1] is None])
    return tuple(
        AddressEntry(aliases[row[0]] if row[1] is None else accounts[AccountId(row[1])], _address_profile_of(row[2:]))
        for row in rows
    )


def _address_profile_of(row: Any) -> AddressProfile:
    object_id, user_id, profile, created_at_s, updated_at_s = row
    words = msgspec.json.decode(profile, type=_AddressWords)
    return AddressProfile(
        ObjectId(object_id),
        None if user_id is None else UserId(ObjectId(user_id)),
        **msgspec.structs.asdict(words),
        created_at=_moment(created_at_s),
        updated_at=_moment(updated_at_s),
    )


def _set_address_profile(db: apsw.Connection, domain: str, local_part: str, profile: AddressProfile) -> None:
    key = f"{local_part.casefold()}@{domain}"
    words = _AddressWords(
        profile.description,
        profile.labels,
        profile.has_recipient_verification,
        profile.verified_recipients,
        profile.public_key,
        profile.smime_certificate,
        profile.has_pgp,
        profile.has_smime,
        profile.has_wkd_disabled,
        profile.retention_days,
        dict(profile.settings),
        profile.locale,
        profile.made_by,
    )
    # A user who is gone meanwhile is none: the address becomes the domain's, as when he goes later.
    db.execute(
        "UPDATE address_profile SET user_id = (SELECT user_id FROM user WHERE user_id = ?), profile = ?,"
        " labels_text = ?, updated_at_s = unixepoch() WHERE key = ?",
        (
            profile.user_id,
            msgspec.json.encode(words).decode(),
            "\n".join(profile.labels).casefold(),
            key,
        ),
    )
    if not db.changes():
        raise NoSuchAddress(address=key)
    (is_account,) = select_one(db, "SELECT account_id IS NOT NULL FROM address WHERE key = ?", (key,))
    if is_account:  # an alias has a description of its own
        describe(db, key, profile.description)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
