"""A chatmail relay of ours and the real clients of Delta Chat (its Rust core behind JSON-RPC), all on loopback.

    with Relay(folder, "_chat.test") as relay, Clients(folder) as clients:
        alice, bob = clients.online(relay), clients.online(relay)

The domains begin with an underscore, so that nobody asks for a public certificate; hosts and ports are given with the log-in.
"""

import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from deltachat_rpc_client import DeltaChat, EventType, Rpc

from system.server import Server

RPC_SERVER = str(Path(sys.executable).with_name("deltachat-rpc-server"))
LIMIT_S = 60


class Relay(Server):
    """A started server whose one domain is a chatmail relay."""

    def __init__(self, folder, domain, **terms):
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        self.domain = domain
        self.terms = terms

    def __enter__(self):
        self.run("init")
        self.run("domain", "add", self.domain, "--profile", "chatmail")
        if self.terms:
            self.run("domain", "set", self.domain, *(f"{name}={value}" for name, value in self.terms.items()))
        self.start()
        return self

    def __exit__(self, *_):
        code = self.stop()
        findings = self.check()
        assert (code, findings) == (0, []), self.log()[-3000:]

    def new_login(self, name=None, password=None):
        """Give the URI of an account that nobody has made yet: logging in makes it. Spec: reference chatmail 11.1."""
        name, password = name or secrets.token_hex(5)[:9], password or secrets.token_urlsafe(15)
        return (
            f"dclogin:{name}@{self.domain}?p={quote(password, safe='')}&v=1&ih=127.0.0.1&ip={self.port['imaps']}&is=ssl"
            f"&sh=127.0.0.1&sp={self.port['submissions']}&ss=ssl&ic=3"
        )


class Clients:
    """Delta Chat accounts of one process of its core."""

    def __init__(self, folder, name="clients"):
        self._rpc = Rpc(accounts_dir=str(folder / name), rpc_server_path=RPC_SERVER)

    def __enter__(self):
        self._rpc.__enter__()
        self.deltachat = DeltaChat(self._rpc)
        return self

    def __exit__(self, *error):
        self._rpc.__exit__(*error)

    def online(self, relay, login=None, **config):
        """Give a client with a new account, waiting for mail (IMAP IDLE)."""
        client = self.deltachat.add_account()
        client.update_config(**config)
        client.add_transport_from_qr(login or relay.new_login())
        client.bring_online()
        return client


def within(call, *arguments, limit_s=LIMIT_S):
    """Call something that waits for the other side, and fail if it waits too long: Delta Chat's own waits are endless."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(call, *arguments).result(limit_s)
    finally:
        pool.shutdown(wait=False)


def received(client):
    """Give the next message that comes in."""
    return within(client.wait_for_incoming_msg)


def event(client, kind, matches=lambda _: True):
    """Wait for an event of a kind that fits."""

    def wait():
        while True:
            found = client.wait_for_event()
            if found.kind == kind and matches(found):
                return found

    return within(wait)


__all__ = ["Clients", "EventType", "Relay", "event", "received", "within"]
