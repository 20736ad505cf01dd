"""Managed attachments over HTTP."""

from types import SimpleNamespace

import pytest
from starlette.requests import Request

from mailstead.model.dav import ALWAYS, Attachment
from mailstead.model.errors import BadObject
from mailstead.services.dav.attachments import given, post


class Attachments:
    def __init__(self):
        self.done = []

    async def add(self, opened, name, file, precondition, rids):
        self.done.append(("add", name, file, rids))
        return None, "new"

    async def update(self, opened, name, managed_id, file, precondition):
        self.done.append(("update", name, managed_id, file))
        return None, "newer"

    async def remove(self, opened, name, managed_id, precondition, rids):
        self.done.append(("remove", name, managed_id, rids))


def call(query, **fields):
    async def opened(kind):
        return None

    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    request = Request({"type": "http", "query_string": query.encode(), "headers": headers})
    return SimpleNamespace(
        attachments=Attachments(), request=request, resource_name="a.ics", precondition=ALWAYS, opened=opened
    )


async def test_actions_are_carried_out():
    adding = call(
        "action=attachment-add&rid=M,20260101",
        content_type="text/plain; charset=utf-8",
        content_disposition="attachment; filename*=UTF-8''Caf%C3%A9.txt",
    )
    response = await post(adding, b"x")
    assert (response.status_code, response.headers["Cal-Managed-ID"]) == (201, "new")
    ((_, name, file, rids),) = adding.attachments.done
    assert (name, file.file_name, file.media_type, file.octets, rids) == (
        "a.ics",
        "Café.txt",
        "text/plain",
        b"x",
        ["M", "20260101"],
    )
    updating = call("action=attachment-update&managed-id=old")
    response = await post(updating, b"y")
    assert (response.status_code, response.headers["Cal-Managed-ID"]) == (204, "newer")
    removing = call("action=attachment-remove&managed-id=old")
    assert (await post(removing, b"")).status_code == 204
    assert removing.attachments.done == [("remove", "a.ics", "old", [])]


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("action=attachment-eat", "valid-action"),
        ("", "valid-action"),
        ("action=attachment-add&managed-id=x", "valid-managed-id"),
        ("action=attachment-remove", "valid-managed-id"),
        ("action=attachment-update&managed-id=x&rid=M", "valid-rid"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_condition(query, condition):
    with pytest.raises(BadObject) as caught:
        await post(call(query), b"")
    assert caught.value.log_fields["condition"] == condition


def test_attack_085_an_attachment_is_saved_and_never_shown():
    response = given(Attachment("id", 1, 'evil"\r\nX: 1.html', "text/html", b"<script>"))
    assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''evil%22%0D%0AX%3A%201.html"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response.headers["Content-Security-Policy"]
