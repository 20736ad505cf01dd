"""An OpenID Connect provider of our own, on loopback: real HTTP, real signatures, and ways to misbehave.

A test logs its browser in by `Provider.consent`, which does what the page of a provider does.
"""

import base64
import json
import warnings
from contextlib import asynccontextmanager
from hashlib import sha256
from secrets import token_urlsafe
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import uvicorn
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from mailstead.net.web import SafeWebClient

CLIENT_ID = "mailstead here"
CLIENT_SECRET = "cs:never+in/a log%"  # with what must be escaped
AUDIENCE = "https://mail.example.test"
REDIRECT_URL = "https://mail.example.test/log-in/oidc/callback"
KEYS = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa-1"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec-1"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed-1"}),
}


class Provider:
    """What it does can be changed at any moment by its attributes."""

    def __init__(self, clock):
        self.clock = clock
        self.issuer = ""
        self.keys = list(KEYS.values())
        self.told = {}
        """Overrides of the configuration; None takes out."""
        self.id_claims = {}
        """Overrides of ID tokens; None takes out."""
        self.algorithm = "RS256"
        self.codes = {}
        self.introspected = {}
        self.asked = []
        """Paths, in the order in which they were asked."""
        self.status = 200
        self.tokens_posted = []

    # what it signs

    def signed(self, claims, *, algorithm="RS256", key=None, kid="", **header):
        """Give a token; `kid` None says none."""
        key = key or KEYS[algorithm]
        fields = {"alg": algorithm, **({} if kid is None else {"kid": kid or key.get("kid")}), **header}
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        octets = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        with warnings.catch_warnings(action="ignore"):  # the name EdDSA is old
            return jws.serialize_compact(fields, octets, key, registry=registry)

    def access_claims(self, subject="alice-1", **claims):
        now_s = int(self.clock.now().timestamp())
        whole = {"iss": self.issuer, "sub": subject, "aud": AUDIENCE, "iat": now_s, "exp": now_s + 600, **claims}
        return {name: value for name, value in whole.items() if value is not None}

    def access_token(self, subject="alice-1", *, typ="at+jwt", algorithm="RS256", **claims):
        return self.signed(self.access_claims(subject, **claims), algorithm=algorithm, typ=typ)

    # its page

    def consent(self, url, subject="alice-1", **claims):
        """Say yes on its page; give where the browser is sent to."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == self.issuer
        query = dict(parse_qsl(parts.query, strict_parsing=True))
        assert parts.path == "/authorize"
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["redirect_uri"] == REDIRECT_URL
        code = token_urlsafe(16)
        self.codes[code] = (query, subject, claims)
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.issuer})}"

    # what it answers

    async def configuration(self, request):
        told = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "introspection_endpoint": f"{self.issuer}/introspect",
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            **self.told,
        }
        return self._answer(request, {name: value for name, value in told.items() if value is not None})

    async def key_set(self, request):
        return self._answer(request, {"keys": [key if isinstance(key, dict) else public(key) for key in self.keys]})

    async def token(self, request):
        form = parse_qs((await request.body()).decode(), strict_parsing=True)
        self._check_client(request, form)
        query, subject, claims = self.codes.pop(form["code"][0], ({}, "", {}))
        challenge = base64.urlsafe_b64encode(sha256(form["code_verifier"][0].encode()).digest()).decode().rstrip("=")
        if (
            query.get("redirect_uri") != form["redirect_uri"][0]
            or query.get("code_challenge") != challenge
            or query.get("code_challenge_method") != "S256"
        ):
            self.asked.append(request.url.path)
            return JSONResponse({"error": "invalid_grant"}, 400)
        now_s = int(self.clock.now().timestamp())
        whole = {
            "iss": self.issuer,
            "sub": subject,
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + 300,
            "nonce": query["nonce"],
            **claims,
            **self.id_claims,
        }
        id_token = self.signed(
            {name: value for name, value in whole.items() if value is not None}, algorithm=self.algorithm
        )
        return self._answer(request, {"id_token": id_token, "access_token": "opaque", "token_type": "Bearer"})

    async def introspect(self, request):
        form = parse_qs((await request.body()).decode(), strict_parsing=True)
        self._check_client(request, form)
        return self._answer(request, self.introspected.get(form["token"][0], {"active": False}))

    def _check_client(self, request, form):
        if "authorization" in request.headers:
            pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
            given = [parse_qs(f"x={each}", strict_parsing=True)["x"][0] for each in pair.split(":")]
        else:
            given = [form["client_id"][0], form["client_secret"][0]]
        assert given == [CLIENT_ID, CLIENT_SECRET]

    def _answer(self, request, content):
        self.asked.append(request.url.path)
        return JSONResponse(content, self.status)


def public(key):
    return key.as_dict(private=False)


@asynccontextmanager
async def run_provider(clock):
    provider = Provider(clock)
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.configuration),
            Route("/keys", provider.key_set),
            Route("/token", provider.token, methods=["POST"]),
            Route("/introspect", provider.introspect, methods=["POST"]),
        ]
    )
    async with serving(app) as port:
        provider.issuer = f"http://127.0.0.1:{port}"
        yield provider


@asynccontextmanager
async def serving(app):
    """Serve an application on a free port of loopback; give the port."""
    import asyncio
    import socket

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listening])
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[listening])


def web_client():
    """Give our client, which may go to this machine."""
    return SafeWebClient(None, allows_private=True, ca_file="", hostname="mail.example.test")
