"""The certificate files of this house, for its administrators."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from mailstead.model.errors import StorageUnavailable
from mailstead.net.certificates import certificate_place
from mailstead.usecases.certificate_care import HeldCertificate, RenewedBy
from mailstead.wiring.acme import acme_folder, make_ordering, orders_certificates
from mailstead.wiring.house import House


class HeldCertificates:
    """Implements `usecases.certificate_care.CertificateFiles`."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def held(self) -> list[HeldCertificate]:
        """See `CertificateFiles.held`."""
        return await asyncio.to_thread(self._held)

    async def order(self) -> Mapping[str, Any]:
        """See `CertificateFiles.order`."""
        try:
            held = await make_ordering(self._house).order()
        except OSError as error:
            raise StorageUnavailable(f"The data folder cannot be written: {error.strerror}") from None
        return {"names": sorted(held.names), "not_after": held.not_after.isoformat()}

    def _held(self) -> list[HeldCertificate]:
        settings = self._house.settings
        is_ordered = orders_certificates(settings)
        file = certificate_place(settings.tls.certificate_file, settings.server.data_dir, is_ordered=is_ordered)
        try:
            leaf = x509.load_pem_x509_certificates(file.read_bytes())[0]
        except (OSError, ValueError):
            return []
        by = RenewedBy.ACME if is_ordered else RenewedBy.FILE if settings.tls.certificate_file else RenewedBy.SELF
        further: dict[str, Any] = self._ordered(file) if is_ordered else {}
        return [
            HeldCertificate(
                file.name,
                _names(leaf),
                _issuer(leaf),
                is_self_signed=leaf.issuer == leaf.subject,
                not_before=leaf.not_valid_before_utc,
                not_after=leaf.not_valid_after_utc,
                renewed_by=by,
                taken_at=_written_at(file),
                **further,
            )
        ]

    def _ordered(self, file: Path) -> dict[str, Any]:
        from mailstead.net.acme.ordering import read_failure, read_held  # only who orders loads the client
        from mailstead.net.acme.renewal import due_at

        acme, folder = self._house.settings.acme, acme_folder(self._house.settings)
        found: dict[str, Any] = {
            "authority": urlsplit(acme.directory_url).hostname or "",
            "challenge": acme.challenge,
            "due_at": due_at(read_held(file), acme.names, self._house.clock.now(), 0.0),
        }
        failed = read_failure(folder)
        if failed is not None:
            found |= {
                "failed_at": _written_at(folder / "failure.json"),
                "failure": failed.reason,
                "failure_count": failed.in_row_count,
                "again_at": failed.again_at,
            }
        return found


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(sorted({name.lower() for name in found.get_values_for_type(x509.DNSName)}))


def _issuer(leaf: x509.Certificate) -> str:
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        if found := leaf.issuer.get_attributes_for_oid(kind):
            return str(found[0].value)
    return leaf.issuer.rfc4514_string()


def _written_at(file: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError:
        return None
