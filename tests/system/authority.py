"""A real certificate authority on loopback: Debian's Pebble, which speaks ACME as Let's Encrypt does.

    with DnsServers(...) as names, Authority(folder).pebble(...) ...

It rejects a part of all nonces on purpose, as its documentation advises for tests of clients.
"""

import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.request

import pytest

from system.certificates import Authority
from system.dns import DnsServers
from system.server import free_ports

LIMIT_S = 30.0
ROOT_HOST = "authority.test"


class UpdatableDns(DnsServers):
    """Its zones take updates that are signed with a key. Spec: RFC 2136, RFC 8945."""

    key_name = "acme-key"
    key = "bWFpbHN0ZWFkLXRlc3RzLXNpZ24tdXBkYXRlcy0zMm8="

    def _knot_conf(self):
        key = f"key:\n  - id: {self.key_name}\n    algorithm: hmac-sha256\n    secret: {self.key}\n"
        acl = f"acl:\n  - id: updates\n    key: {self.key_name}\n    action: update\n    update-type: [TXT]\n"
        head, zones = super()._knot_conf().split("zone:\n", 1)
        return head + key + acl + "zone:\n" + zones.replace("    zonefile-sync", "    acl: updates\n    zonefile-sync")


class Pebble:
    """`http_port` and `tls_port`: where names are proven, instead of 80 and 443."""

    def __init__(self, folder, resolver, http_port, tls_port, nonces_rejected_percent=20):
        self.folder = folder / "pebble"
        self.resolver = resolver
        self.http_port, self.tls_port = http_port, tls_port
        self.port, self.management_port = free_ports(2)
        self.nonces_rejected_percent = nonces_rejected_percent
        self._authority = Authority(self.folder)
        self._pair = self._authority.pair(ROOT_HOST, "localhost")

    @property
    def ca_file(self):
        """Who signs the certificate of the directory itself."""
        return str(self._authority.file)

    @property
    def directory_url(self):
        return f"https://{ROOT_HOST}:{self.port}/dir"

    def __enter__(self):
        program = shutil.which("pebble")
        if program is None:
            pytest.skip("pebble is not installed: run `make setup-tools` as root")
        config = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": str(self._pair.certificate),
            "privateKey": str(self._pair.key),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
        }
        file = self.folder / "config.json"
        file.write_text(json.dumps({"pebble": config}))
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            [program, "-strict", "-config", str(file), "-dnsserver", self.resolver],
            stdout=self._log,
            stderr=self._log,
            env={
                **os.environ,
                "PEBBLE_VA_NOSLEEP": "1",
                "PEBBLE_WFE_NONCEREJECT": str(self.nonces_rejected_percent),
                # Otherwise names that were proven once are not looked at again, half of the time.
                "PEBBLE_AUTHZREUSE": "0",
            },
        )
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                self._get("roots/0")
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(self.log()) from None
                time.sleep(0.05)  # it says nowhere but in its log that it is ready, and its port is as quick to ask
            else:
                return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)
        self._log.close()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def root_context(self):
        """What a client has that believes this authority, and nobody else."""
        return ssl.create_default_context(cadata=self._get("roots/0").decode())

    def _get(self, path):
        context = ssl.create_default_context(cafile=self.ca_file)
        url = f"https://localhost:{self.management_port}/{path}"
        with urllib.request.urlopen(url, timeout=5, context=context) as response:
            return response.read()
