"""A chatmail relay of ours and the real clients of Delta Chat (its Rust core behind JSON-RPC), all on loopback.

    with Relay(folder, "_chat.test") as relay, Clients(folder) as clients:
        alice, bob = clients.online(relay), clients.online(relay)

The domains begin with an underscore, so that nobody asks for a public certificate; hosts and ports are given with the log-in.
"""

import imaplib
import json
import secrets
import smtplib
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from deltachat_rpc_client import DeltaChat, EventType, Rpc

from system.server import Server, free_ports, tls_context

RPC_SERVER = str(Path(sys.executable).with_name("deltachat-rpc-server"))
LIMIT_S = 60


class Relay(Server):
    """A started server whose one domain is a chatmail relay."""

    def __init__(self, folder, domain, **terms):
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        self.domain = domain
        self.terms = {"load_max": 9000, **terms}  # a busy machine of tests opens accounts all the same

    def meets(self, address, dns, mx_port, https_port):
        """Let it be found by other relays: at an address of its own, by ports that all of them share."""
        self.settings |= {
            "MAILSTEAD_SERVER_HOSTNAME": self.domain,
            "MAILSTEAD_MX_LISTEN": f"{address}:{mx_port},127.0.0.1:{self.port['mx']}",
            "MAILSTEAD_WEB_LISTEN_TLS": f"{address}:{https_port}",
            "MAILSTEAD_RELAY_PORT": str(mx_port),
            "MAILSTEAD_RELAY_HTTPS_PORT": str(https_port),
            "MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES": "true",
            "MAILSTEAD_DNS_SERVERS": dns.resolver,
            "MAILSTEAD_AUTHENTICATION_IS_ENABLED": "true",
            "MAILSTEAD_QUEUE_FIRST_RETRY_S": "1",
            "MAILSTEAD_SERVER_METRICS_LISTEN": f"127.0.0.1:{free_ports(1)[0]}",
        }
        return self

    def metric(self, name):
        """Give the sum of a metric's values, by the server's own count; `name` may begin its labels, too."""
        with urllib.request.urlopen(f"http://{self.settings['MAILSTEAD_SERVER_METRICS_LISTEN']}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def delivered(self, service):
        """How many messages came in that way."""
        return self.metric(f'mailstead_delivered_total{{service="{service}"}}')

    def publish(self, dns, address):
        """Put the domain's address, its mail exchanger and its keys into its zone."""
        keys = json.loads(self.run("--json", "dkim", "list", self.domain))
        records = [f"{key['selector']}._domainkey TXT {quoted(key['record'])}" for key in keys]
        dns.replace(self.domain, [f"@ A {address}", "@ MX 10 @", *records])

    def __enter__(self):
        self.run("init")
        self.run("domain", "add", self.domain, "--profile", "chatmail")
        self.run("domain", "set", self.domain, *(f"{name}={value}" for name, value in self.terms.items()))
        self.start()
        return self

    def __exit__(self, *_):
        code = self.stop()
        findings = self.check()
        assert (code, findings) == (0, []), self.log()[-3000:]

    def new_person(self):
        """Give address and password of an account that nobody has made yet, for other programs."""
        return Login(f"ac{secrets.token_hex(4)[:7]}@{self.domain}", secrets.token_urlsafe(9))

    def imap(self, login):
        client = imaplib.IMAP4_SSL("127.0.0.1", self.port["imaps"], ssl_context=tls_context())
        client.login(*login)
        return client

    def smtp(self, login):
        client = smtplib.SMTP_SSL("127.0.0.1", self.port["submissions"], "[127.0.0.1]", context=tls_context())
        client.login(*login)
        return client

    def stored(self, login):
        """Give the messages of somebody's INBOX."""
        client = self.imap(login)
        client.select("INBOX")
        found = [
            octets
            for piece in client.uid("FETCH", "1:*", "BODY.PEEK[]")[1]
            if isinstance(piece, tuple)
            for octets in piece[1:]
        ]
        client.logout()
        return found

    def new_login(self, name=None, password=None):
        """Give the URI of an account that nobody has made yet: logging in makes it. Spec: reference chatmail 11.1."""
        name, password = name or secrets.token_hex(5)[:9], password or secrets.token_urlsafe(15)
        return (
            f"dclogin:{name}@{self.domain}?p={quote(password, safe='')}&v=1&ih=127.0.0.1&ip={self.port['imaps']}&is=ssl"
            f"&sh=127.0.0.1&sp={self.port['submissions']}&ss=ssl&ic=3"
        )


def knowing(folder, hosts):
    """Write a program that runs the clients' core with names of its own, in a mount namespace (as root)."""
    (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for name, at in hosts.items()))
    program = folder / "rpc-server"
    inside = f"mount --bind {folder / 'hosts'} /etc/hosts && exec {RPC_SERVER}"
    program.write_text(f"#!/bin/sh\nexec unshare --mount --propagation private sh -c '{inside}'\n")
    program.chmod(0o755)
    return str(program)


def quoted(text):
    """Write a text as strings of a zone file, 255 characters each at most."""
    return " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))


class Login(NamedTuple):
    """An address and its password."""

    address: str
    password: str


class Clients:
    """Delta Chat accounts of one process of its core."""

    def __init__(self, folder, name="clients", *, hosts=None):
        """`hosts`: names and addresses that only these clients know: their process sees another /etc/hosts."""
        server = RPC_SERVER if hosts is None else knowing(folder, hosts)
        self._rpc = Rpc(accounts_dir=str(folder / name), rpc_server_path=server)

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


def eventually(ask, limit_s=LIMIT_S):
    """Ask until the answer is true, and give it."""
    end = time.monotonic() + limit_s
    while not (answer := ask()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)  # other servers are at work: nobody tells us when they are done
    return answer


def event(client, kind, matches=lambda _: True):
    """Wait for an event of a kind that fits."""

    def wait():
        while True:
            found = client.wait_for_event()
            if found.kind == kind and matches(found):
                return found

    return within(wait)


__all__ = ["Clients", "EventType", "Login", "Relay", "event", "eventually", "received", "within"]
