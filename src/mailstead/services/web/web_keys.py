"""Public keys over HTTPS, by both methods: under a host of their own, and under the domain itself.

Spec: draft-koch-openpgp-webkey-service-19 §3.1, §4.5 (policy flags).
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mailstead.model.address import normal_domain
from mailstead.model.errors import BadAddress
from mailstead.policy.web_key import HOST_LABEL
from mailstead.usecases.publications import Publications
from mailstead.usecases.web_keys import WebKeys

ROOT: Final = "/.well-known/openpgpkey"
_HEADERS: Final = {"access-control-allow-origin": "*"}
"""Programs that run in browsers ask, too."""


class WebKeyPages:
    """Who has no key, no address, or does not want to be found gets the same answer."""

    def __init__(self, web_keys: WebKeys, publications: Publications) -> None:
        self._web_keys = web_keys
        self._publications = publications

    def routes(self) -> list[Route]:
        """Give them."""
        return [
            Route(f"{ROOT}/hu/{{digest:str}}", self.key),
            Route(f"{ROOT}/policy", self.policy),
            Route(f"{ROOT}/{{domain:str}}/hu/{{digest:str}}", self.key),
            Route(f"{ROOT}/{{domain:str}}/policy", self.policy),
        ]

    async def key(self, request: Request) -> Response:
        """Give the key whose digest is asked for."""
        domain = _domain_asked(request)
        local_part = request.query_params.get("l")
        found = domain and await self._web_keys.find(domain, request.path_params["digest"], local_part)
        if not found:
            return PlainTextResponse("Not found\n", 404, _HEADERS)
        return Response(found, media_type="application/octet-stream", headers=_HEADERS)

    async def policy(self, request: Request) -> Response:
        """No flag is set, but the file must be there: it tells that the domain has a directory."""
        domain = _domain_asked(request)
        if not domain or not await self._publications.is_ours(domain):
            return PlainTextResponse("Not found\n", 404, _HEADERS)
        return PlainTextResponse("", headers=_HEADERS)


def _domain_asked(request: Request) -> str:
    """Give the domain that a request is about; empty where host and path do not fit together."""
    try:
        host = normal_domain((request.url.hostname or "").removesuffix("."))
        of_path = request.path_params.get("domain")
        if of_path is None:
            return "" if host.startswith(f"{HOST_LABEL}.") else host
        domain = normal_domain(of_path)
    except BadAddress:
        return ""
    return domain if host == f"{HOST_LABEL}.{domain}" else ""
