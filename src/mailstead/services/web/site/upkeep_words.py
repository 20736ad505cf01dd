"""What use cases of the upkeep say in their errors: told on pages, so collected here for the catalogues."""

from __future__ import annotations

from typing import Final

from mailstead.services.web.site.words import _

SAID: Final = (
    _("It was cut off"),
    _("It was cut off: the server has stopped meanwhile"),
    _("Something went wrong; the log says what"),
    _("Other work of this kind is under way; ask again when it is over"),
    _("No certificate is ordered here: acme.directory_url is empty, or a file is set"),
    _("There is no such account in this backup"),
    _("This account is sealed: only its password opens what is in the backup"),
    _("Say which address the new account gets"),
    _("Say what the domain is to become"),
    _("That is not possible: the domain has accounts"),
    _("That is not possible: the domain is an IP address"),
    _("There are no backups at that place"),
    _("There are no snapshots at that place"),
    _("No place for backups is set: set backup.target to a folder, or to s3://bucket/prefix"),
    _("The backup key is not the one with which these backups were made"),
)
