"""A started Mailstead with the API, for tests with clients that others wrote."""

from __future__ import annotations

import http.client
import json
from base64 import b64encode

from system.server import ALICE, DOMAIN, PASSWORD, Server, free_ports

ADMIN = f"admin@{DOMAIN}"


class ApiServer(Server):
    """Also answers the API, in clear text on loopback; `token` is that of an administrator of the server."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.port["api"], self.port["apis"] = free_ports(2)
        self.token = ""
        self.settings = {
            "MAILSTEAD_API_LISTEN": f"127.0.0.1:{self.port['api']}",
            "MAILSTEAD_API_LISTEN_TLS": f"127.0.0.1:{self.port['apis']}",
            "MAILSTEAD_API_ALLOWS_CLEAR_TEXT": "true",
            "MAILSTEAD_API_REQUESTS_PER_MINUTE": "0",
            **self.settings,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port['api']}"

    def prepare(self, *addresses: str) -> None:
        super().prepare(*(addresses or (ALICE, ADMIN)))
        self.run("user", "add", ADMIN, "--admin")
        self.token = json.loads(self.run("--json", "token", "add", ADMIN, "test"))["secret"]

    def ask(self, method: str, path: str, content: object = None, by: str = "") -> tuple[int, object]:
        """Ask as the administrator, or as the owner of an account; gives status and what was answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port["api"], timeout=30)
        pair = f"{by}:{PASSWORD}" if by else f"{self.token}:"
        fields = {"Authorization": "Basic " + b64encode(pair.encode()).decode(), "Content-Type": "application/json"}
        connection.request(method, path, None if content is None else json.dumps(content), fields)
        answer = connection.getresponse()
        octets = answer.read()
        connection.close()
        is_json = answer.getheader("Content-Type", "").startswith(("application/json", "application/problem+json"))
        return answer.status, json.loads(octets) if is_json else octets
