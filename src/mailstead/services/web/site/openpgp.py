"""OpenPGP: one's own key and those of others, looked after; and what was decrypted, in a frame of its own.

Spec: RFC 9580; attack rows 88 and 103. What the server can read, and when, is said on the page itself (ADR 40).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from mailstead.mime.showing.document import frame_headers
from mailstead.model.errors import MailsteadError, NoSuchMessage, NotAllowed, PolicyRefused
from mailstead.model.openpgp import KeySource
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.services.web.site.words import _

KEY_FORM_OCTETS_MAX: Final = 1 << 20
"""An armored key, as a form has it."""
_FILE: Final = {
    "cache-control": "private, no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def keys(visit: Visit) -> Response:
    """Show all keys."""
    return await _show(visit)


async def make(visit: Visit) -> Response:
    """Make a key for the account's address."""
    fields = await visit.fields()
    ring, address = visit.house.openpgp.keys, visit.actor.address
    if address is None:
        raise NotAllowed
    try:
        if fields.get("passphrase") != fields.get("again"):
            raise PolicyRefused(_("The two are not the same"))
        await ring.make(visit.actor, fields.get("name", ""), address, Secret(fields.get("passphrase", "")))
    except MailsteadError as error:
        return await _show(visit, error, fields)
    return visit.go("/me/openpgp", told="made")


async def take_secret(visit: Visit) -> Response:
    """Take over a key that the owner has elsewhere."""
    fields = await visit.fields(KEY_FORM_OCTETS_MAX)
    try:
        await visit.house.openpgp.keys.take_secret(
            visit.actor, fields.get("secret", ""), Secret(fields.get("passphrase", ""))
        )
    except MailsteadError as error:
        return await _show(visit, error, {})  # the key itself is not sent back
    return visit.go("/me/openpgp", told="taken")


async def unlock(visit: Visit) -> Response:
    """Unlock one's keys for this session, and go on where that was wanted."""
    fields = await visit.fields()
    then = local_path(fields.get("then", ""), "/me/openpgp")
    try:
        await visit.house.openpgp.keys.unlock(visit.actor, Secret(fields.get("passphrase", "")))
    except MailsteadError as error:
        return await _show(visit, error, {}, then=then)
    return visit.go(then)


async def lock(visit: Visit) -> Response:
    """Forget the passphrase."""
    await visit.fields()
    visit.house.openpgp.keys.lock(visit.actor)
    return visit.go("/me/openpgp", told="locked")


async def change(visit: Visit) -> Response:
    """Publish a key, revoke it, remove it, note that it was compared."""
    fields = await visit.fields()
    verb, fingerprint, ring = fields.get("verb", ""), fields.get("fingerprint", ""), visit.house.openpgp.keys
    try:
        if verb in {"revoke", "remove"} and fields.get("sure") != "yes":
            raise PolicyRefused(_("Tick that you are sure: this cannot be undone"))
        match verb:
            case "publish" | "unpublish":
                await ring.publish(visit.actor, fingerprint, is_published=verb == "publish")
            case "verify" | "unverify":
                await ring.verify(visit.actor, fingerprint, is_verified=verb == "verify")
            case "revoke":
                await ring.revoke(visit.actor, fingerprint)
            case "remove":
                await ring.remove(visit.actor, fingerprint)
            case _:
                raise PolicyRefused(_("That cannot be done with a key"))
    except MailsteadError as error:
        return await _show(visit, error, fields)
    return visit.go("/me/openpgp", told=verb)


async def take_public(visit: Visit) -> Response:
    """Take keys of correspondents: handed in, or asked of their domain."""
    fields = await visit.fields(KEY_FORM_OCTETS_MAX)
    ring = visit.house.openpgp.keys
    try:
        if fields.get("address", "").strip():
            await ring.look_up(visit.actor, fields["address"])
        else:
            await ring.take(visit.actor, fields.get("public", "").encode("utf-8", "replace"), KeySource.BY_HAND)
    except MailsteadError as error:
        is_secret = "PRIVATE KEY" in fields.get("public", "")
        return await _show(visit, error, {**fields, "public": ""} if is_secret else fields)
    return visit.go("/me/openpgp", told="taken")


async def public_file(visit: Visit) -> Response:
    """Give a public key as a file."""
    fingerprint = visit.request.path_params["fingerprint"]
    text = await visit.house.openpgp.keys.public_text(visit.actor, fingerprint)
    return _key_file(text, f"{fingerprint[-16:]}.asc")


async def secret_file(visit: Visit) -> Response:
    """Give a secret key as a file, under its passphrase."""
    fields = await visit.fields()
    fingerprint = fields.get("fingerprint", "")
    try:
        text = await visit.house.openpgp.keys.secret_text(
            visit.actor, fingerprint, Secret(fields.get("passphrase", ""))
        )
    except MailsteadError as error:
        return await _show(visit, error, {})
    return _key_file(text, f"{fingerprint[-16:]}-secret.asc")


# in messages


async def take_offered(visit: Visit) -> Response:
    """Keep a key that came with a message."""
    fields = await visit.fields()
    await visit.house.openpgp.take_offered(
        visit.actor, visit.request.path_params["message_id"], fields.get("fingerprint", "")
    )
    return visit.go(local_path(fields.get("then", ""), "/me/openpgp"))


async def decrypted(visit: Visit) -> Response:
    """Give the document that shows one part that was decrypted: alone, and with nothing from elsewhere."""
    path = visit.request.path_params
    message, _files, reading = await visit.house.openpgp.show(visit.actor, path["message_id"], _index(visit))
    return Response(message.document(reading.subject or ""), headers=frame_headers(has_remote=False))


async def decrypted_file(visit: Visit) -> Response:
    """Give a file that was encrypted, to be kept."""
    path = visit.request.path_params
    view, octets = await visit.house.openpgp.attachment(visit.actor, path["message_id"], _index(visit), path["number"])
    name = quote(view.file_name or f"part-{view.number}", safe="")
    headers = {**_FILE, "content-disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(octets, media_type="application/octet-stream", headers=headers)


def _index(visit: Visit) -> int:
    text = str(visit.request.path_params["index"])
    if not text.isdecimal() or len(text) > 2:
        raise NoSuchMessage
    return int(text)


def _key_file(text: str, name: str) -> Response:
    headers = {**_FILE, "content-disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="application/pgp-keys", headers=headers)


async def _show(
    visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None, then: str = ""
) -> Response:
    found = await visit.house.openpgp.keys.find(visit.actor)
    name = (await visit.house.preferences.get(visit.actor)).display_name
    fields = fields or {}
    return visit.show(
        "me/openpgp.html",
        200 if error is None else status_of(error),
        keys=found,
        name=fields.get("name", name),
        public=fields.get("public", ""),
        asked=fields.get("address", ""),
        then=then or local_path(visit.request.query_params.get("then", ""), ""),
        error=error,
    )


PAGES: Final = (
    Page("/me/openpgp", keys, Who.OWNER),
    Page("/me/openpgp/make", make, Who.OWNER, ("POST",)),
    Page("/me/openpgp/take", take_secret, Who.OWNER, ("POST",)),
    Page("/me/openpgp/unlock", unlock, Who.OWNER, ("POST",)),
    Page("/me/openpgp/lock", lock, Who.OWNER, ("POST",)),
    Page("/me/openpgp/change", change, Who.OWNER, ("POST",)),
    Page("/me/openpgp/others", take_public, Who.OWNER, ("POST",)),
    Page("/me/openpgp/secret", secret_file, Who.OWNER, ("POST",)),
    Page("/me/openpgp/{fingerprint}/public", public_file, Who.OWNER),
    Page("/mail/m/{message_id}/key", take_offered, Who.OWNER, ("POST",)),
    Page("/mail/m/{message_id}/decrypted/{index}", decrypted, Who.OWNER),
    Page("/mail/m/{message_id}/decrypted/{index}/parts/{number}", decrypted_file, Who.OWNER),
)
