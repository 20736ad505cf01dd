"""All that an account has, to be taken elsewhere. Command: ``mailstead export``."""

from __future__ import annotations

from typing import Final

from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Right


async def export(call: Call) -> Answer:
    """Give a ZIP archive while it is made."""
    pieces = await call.house.export_archives.open(call.actor)
    name = f"mailstead-{call.house.clock.now():%Y-%m-%d}.zip"
    return Answer(pieces, headers={"content-disposition": f'attachment; filename="{name}"'})


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/exports",
        "export-account",
        "All mail (mbox), calendars (.ics) and contacts (.vcf) of the account, as a ZIP archive",
        "exports",
        Auth.ALIAS,
        Right.CALLER,
        export,
        description="The archive is made while it is sent; a connection that breaks means to begin anew.",
        is_ours=True,
        per_day=20,
        is_idempotent=False,
        media_type="application/zip",
        command="export",
    ),
)
