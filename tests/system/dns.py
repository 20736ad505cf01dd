"""Real name servers of Debian on loopback: Knot holds the zones and signs some of them, Unbound validates before it.

    with DnsServers(tmp_path, {"example.test": ["@ MX 10 mx", "mx A 127.0.0.1"]}, signed=["example.test"]) as dns:
        settings = Dns(servers=(dns.resolver,))

Lines are those of a zone file with `$ORIGIN` of the zone; SOA and NS come by themselves. TTLs are 0, and `replace` shows at
once. A zone in `bogus` is signed, but by another key than the resolver expects: it answers SERVFAIL. Reverse zones
(`127.in-addr.arpa`) are zones like others. All other names do not exist.
"""

import os
import shutil
import subprocess
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from system.server import free_ports

LIMIT_S = 30.0


def program(command):
    path = shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{command} is not installed: run `make setup-tools` as root")
    return path


class DnsServers:
    def __init__(self, folder, zones, *, signed=(), bogus=(), address="127.0.0.1", port=0):
        """`address` and `port` are the resolver's, for peers that know no other port than 53."""
        self.folder = folder / "dns"
        self.zones = dict(zones)
        self.signed, self.bogus = set(signed) | set(bogus), set(bogus)
        self.address, self.port = address, port or free_ports(1, address)[0]
        [self.authoritative_port] = free_ports(1)
        self._serial = 1
        self._processes = []
        self._logs = []

    @property
    def resolver(self):
        """Of the validating resolver, as the settings want it."""
        return f"{self.address}:{self.port}"

    @property
    def authoritative(self):
        """Of the server behind it, which answers for its zones only."""
        return f"127.0.0.1:{self.authoritative_port}"

    def __enter__(self):
        knotd, unbound = program("knotd"), program("unbound")
        for name in ("zones", "keys", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for zone in self.zones:
            self._write_zone(zone)
        (self.folder / "knot.conf").write_text(self._knot_conf())
        try:
            self._start("knot", [knotd, "-c", str(self.folder / "knot.conf")])
            for zone in self.zones:
                self._wait(lambda zone=zone: self._is_served(zone), "knot does not serve")
            (self.folder / "unbound.conf").write_text(self._unbound_conf())
            self._start("unbound", [unbound, "-d", "-p", "-c", str(self.folder / "unbound.conf")])
            self._wait(lambda: ask(self.address, self.port, "none.invalid", "A") is not None, "unbound does not answer")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        for log in self._logs:
            log.close()
        self._logs.clear()

    def replace(self, zone, lines):
        """Give a zone other records, and wait until they are served."""
        self.zones[zone] = lines
        self._serial += 1000  # Knot counts on by itself as it signs, and takes no older zone
        self._write_zone(zone)
        self._control("knotc", "-b", "zone-reload", zone)
        self._wait(lambda: self._is_served_anew(zone), f"{zone} is not served anew")
        self._control("unbound-control", "flush_zone", zone)

    def _is_served_anew(self, zone):
        return f'"{self._serial}"' in str(ask("127.0.0.1", self.authoritative_port, f"_serial.{zone}", "TXT"))

    def _control(self, command, *words):
        configuration = {"knotc": "knot.conf", "unbound-control": "unbound.conf"}[command]
        done = subprocess.run(
            [program(command), "-c", str(self.folder / configuration), *words],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _write_zone(self, zone):
        lines = [
            f"$ORIGIN {zone}.",
            "$TTL 0",
            f"@ SOA ns hostmaster {self._serial} 3600 600 86400 0",
            "@ NS ns",
            "ns A 127.0.0.1",
            f'_serial TXT "{self._serial}"',
            *self.zones[zone],
        ]
        (self.folder / "zones" / zone).write_text("\n".join(lines) + "\n")

    def _knot_conf(self):
        head = f"""
server:
    rundir: {self.folder}/run
    listen: 127.0.0.1@{self.authoritative_port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {self.folder}/keys
log:
  - target: stderr
    any: warning
policy:
  - id: signed
    algorithm: ecdsap256sha256
    single-type-signing: on
zone:
"""
        zones = "".join(
            f"  - domain: {zone}.\n    file: {self.folder}/zones/{zone}\n    zonefile-sync: -1\n    zonefile-load: difference-no-serial\n"
            "    journal-content: all\n"
            + ("    dnssec-signing: on\n    dnssec-policy: signed\n" if zone in self.signed else "")
            for zone in self.zones
        )
        return head + zones

    def _unbound_conf(self):
        lines = [
            "server:",
            f"  interface: {self.address}@{self.port}",
            f"  port: {self.port}",
            '  chroot: ""',
            '  username: ""',
            '  pidfile: ""',
            f'  directory: "{self.folder}"',
            "  use-syslog: no",
            '  logfile: ""',
            "  num-threads: 1",
            "  do-ip6: no",
            "  do-not-query-localhost: no",
            "  access-control: 127.0.0.0/8 allow",
            '  module-config: "validator iterator"',
            "  val-bogus-ttl: 0",
            "  infra-host-ttl: 1",
            '  local-zone: "." static',
        ]
        for zone in self.zones:
            lines.append(f'  local-zone: "{zone}." transparent')
            if zone in self.signed:
                lines.append(f'  trust-anchor: "{self._trust_anchor(zone)}"')
        socket_name = self.folder / "run" / "unbound.sock"
        lines += [
            "remote-control:",
            "  control-enable: yes",
            "  control-use-cert: no",
            f"  control-interface: {socket_name}",
        ]
        for zone in self.zones:
            lines += ["stub-zone:", f'  name: "{zone}."', f"  stub-addr: 127.0.0.1@{self.authoritative_port}"]
        return "\n".join(lines) + "\n"

    def _trust_anchor(self, zone):
        """The key that the zone is signed with; for a bogus one a key that nobody has."""
        response = ask("127.0.0.1", self.authoritative_port, zone, "DNSKEY")
        (rrset,) = [each for each in response.answer if each.rdtype == dns.rdatatype.DNSKEY]
        key = rrset[0].to_text()
        if zone in self.bogus:
            words = key.split(" ", 3)
            key = " ".join([*words[:3], words[3][::-1].lstrip("=").ljust(86, "A") + "=="])
        return f"{zone}. DNSKEY {key}"

    def _is_served(self, zone):
        response = ask("127.0.0.1", self.authoritative_port, zone, "DNSKEY" if zone in self.signed else "SOA")
        return response is not None and response.rcode() == dns.rcode.NOERROR and bool(response.answer)

    def _start(self, name, command):
        log = open(self.folder / f"{name}.log", "wb")  # noqa: SIM115  # closed by stop
        self._logs.append(log)
        self._processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder))

    def _wait(self, condition, problem):
        end = time.monotonic() + LIMIT_S
        while not condition():
            ended = [process.args[0] for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > end:
                logs = "".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))
                raise AssertionError(f"{problem} {ended}: {logs[-2000:]}")
            time.sleep(0.02)  # name servers say nowhere that a zone is served


def ask(address, port, name, kind):
    """One question over UDP; None if nobody answers."""
    query = dns.message.make_query(name, kind, want_dnssec=True)
    try:
        return dns.query.udp(query, address, port=port, timeout=0.5, ignore_unexpected=True)
    except (dns.exception.Timeout, OSError):
        return None
