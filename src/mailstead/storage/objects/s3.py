"""Objects in a bucket that speaks S3, whoever runs it; by `obstore`, which has no dependencies of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from mailstead.model.errors import BackupFailed, BadBackup
from mailstead.model.secret import Secret

_LISTED_TOGETHER: Final = 1000


class S3Objects:
    """Implements `ports.backup.Objects`."""

    def __init__(
        self, bucket: str, prefix: str, *, endpoint: str, region: str, access_key_id: str, secret_access_key: Secret
    ) -> None:
        """`endpoint`: empty for Amazon's own, else the provider's address; http only where it says so."""
        self._where = f"s3://{bucket}/{prefix}".rstrip("/")
        options = {"aws_region": region or "us-east-1"}
        if endpoint:
            options["aws_endpoint"] = endpoint
        if access_key_id:
            options["aws_access_key_id"] = access_key_id
            options["aws_secret_access_key"] = secret_access_key.reveal()
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=options,  # type: ignore[arg-type]  # its TypedDict wants literal keys
            client_options={"allow_http": endpoint.startswith("http://")},
        )

    async def put(self, name: str, octets: bytes) -> None:
        """See `ports.backup.Objects`."""
        try:
            await obstore.put_async(self._store, name, octets)
        except (BaseError, OSError) as error:
            raise self._failed(error) from None

    async def get(self, name: str) -> bytes:
        """See `ports.backup.Objects`."""
        try:
            found = await obstore.get_async(self._store, name)
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            raise BadBackup(f"{name} is missing in {self._where}") from None
        except (BaseError, OSError) as error:
            raise self._failed(error) from None

    async def names(self, prefix: str) -> Mapping[str, int]:
        """See `ports.backup.Objects`."""
        found: dict[str, int] = {}
        folder = prefix.rpartition("/")[0]
        try:
            async for listed in obstore.list(self._store, folder or None, chunk_size=_LISTED_TOGETHER):
                found |= {each["path"]: each["size"] for each in listed if each["path"].startswith(prefix)}
        except (BaseError, OSError) as error:
            raise self._failed(error) from None
        return found

    async def remove(self, names: Sequence[str]) -> int:
        """See `ports.backup.Objects`."""
        kept = 0
        for name in names:
            try:
                await obstore.delete_async(self._store, name)
            except FileNotFoundError:
                continue
            except (BaseError, OSError):
                kept += 1
        return kept

    def _failed(self, error: Exception) -> BackupFailed:
        # The library's texts have several lines, of which the first says what it was.
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return BackupFailed(f"{self._where} does not answer as it should: {said[:300]}")
