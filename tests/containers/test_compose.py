"""The Compose files as an operator uses them: started, with mail through them."""

import http.client
import imaplib
import json
import poplib
import re
import secrets
import shutil
import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from containers.engine import ROOT, until
from mailstead.net.certificates import make_self_signed
from system.server import ALICE, DOMAIN, PASSWORD, free_ports, tls_context

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]  # to wait for the machine's one engine counts, too

EMBEDDED_PORTS = (25, 465, 587, 143, 993, 110, 995, 4190, 80, 443)
ROLES = {
    "web": (80, 443), "mx": (25,), "smtp": (465, 587), "worker": (), "imap": (143, 993), "pop3": (110, 995),
    "sieve": (4190,),
}  # fmt: skip
SERVICES = {"smtp": {"submission"}, "worker": set()}
"""What health asks in the container of a role, where that is not its name."""
# As these tests reach published ports from the machine itself, they come from the bridge; there is a test of that, too.
BRIDGED = "MAILSTEAD_LIMITS_ALLOWS_BRIDGED_CLIENTS=true"


class Stack:
    """A folder as an operator has it: the Compose files unchanged, an `.env`, and an override that moves the ports."""

    def __init__(self, engine, image, folder, lines=(), further=""):
        self._engine, self.folder = engine, folder
        self.port = dict(zip(EMBEDDED_PORTS, free_ports(len(EMBEDDED_PORTS)), strict=True))
        for file in ("compose.yaml", "compose.traefik.yaml", "compose.override.example.yaml"):
            shutil.copy(ROOT / file, folder)
        name, _, tag = image.rpartition(":")
        settings = [
            f"MAILSTEAD_IMAGE={name}",
            f"MAILSTEAD_TAG={tag}",
            f"COMPOSE_PROJECT_NAME=mailstead-{secrets.token_hex(4)}",
            # Nothing goes to the Internet: a resolver that is not there, and senders that are not looked up.
            "MAILSTEAD_DNS_SERVERS=127.0.0.1:9",
            "MAILSTEAD_AUTHENTICATION_IS_ENABLED=false",
            BRIDGED,
            *lines,
        ]
        (folder / ".env").write_text((ROOT / ".env.example").read_text() + "\n".join(settings) + "\n")
        override = ["services:"]
        for service, ports in {"mailstead": EMBEDDED_PORTS, **ROLES}.items():
            override += [f"  {service}:", "    ports: !override" if ports else "    ports: !reset []"]
            override += [f'      - "127.0.0.1:{self.port[port]}:{port}"' for port in ports]
        (folder / "compose.override.yaml").write_text("\n".join(override) + "\n" + further)

    def compose(self, *words, **how):
        return self._engine.docker("compose", "--project-directory", str(self.folder), *words, **how)

    def up(self):
        self.compose("up", "-d", "--wait", "--wait-timeout", "60")

    def running(self):
        listed = [json.loads(line) for line in self.compose("ps", "--format", "json").splitlines()]
        return {each["Service"]: each for each in listed}

    def inspect(self, service, *options):
        """Give what the engine says of the service's one container, whether it runs or not."""
        (container,) = self.compose(*options, "ps", "-aq", service).split()
        return self._engine.inspect("container", container)

    def landing_page(self, domain):
        client = http.client.HTTPConnection("127.0.0.1", self.port[80], timeout=20)
        client.request("GET", "/", headers={"Host": domain})
        return client.getresponse().read().decode()

    def prepare(self, service):
        """Make a domain and an account, as the guide says."""
        self.mailstead(service, "domain", "add", DOMAIN)
        self.mailstead(service, "account", "add", ALICE, "--password-stdin", stdin=PASSWORD + "\n")

    def mailstead(self, service, *words, **how):
        return self.compose("exec", "-T", service, "mailstead", *words, **how)

    def send(self, subject):
        with smtplib.SMTP("127.0.0.1", self.port[25], timeout=20) as client:
            client.sendmail(
                "me@elsewhere.test", ALICE, f"From: me@elsewhere.test\nTo: {ALICE}\nSubject: {subject}\n\nHi\n"
            )

    def subjects(self):
        return [re.search(rb"Subject: (\S+)", head)[1].decode() for head in self._heads("SUBJECT")]

    def received(self):
        """Give the Received field of the one message."""
        (head,) = self._heads("RECEIVED")
        return " ".join(head.decode().split())

    def _heads(self, name):
        with imaplib.IMAP4_SSL("127.0.0.1", self.port[993], ssl_context=tls_context(), timeout=20) as client:
            client.login(ALICE, PASSWORD)
            client.select()
            numbers = client.search(None, "ALL")[1][0].split()
            return [client.fetch(number, f"(BODY.PEEK[HEADER.FIELDS ({name})])")[1][0][1] for number in numbers]


def files_of(folder, *names):
    """Give the line of `.env` that names the Compose files."""
    return "COMPOSE_FILE=" + ":".join(str(folder / name) for name in names)


@contextmanager
def stack(engine, image, folder, lines=(), further=""):
    folder.mkdir()
    made = Stack(engine, image, folder, lines, further)
    try:
        yield made
    finally:
        made.compose("down", "-v", "--remove-orphans", "-t", "30")


def test_one_container_with_mail_through_it_keeps_it(engine, image, tmp_path):
    engine.docker("rmi", image)  # so that it really comes from the registry
    with stack(engine, image, tmp_path / "one") as one:
        one.compose("pull", "-q")
        one.up()
        running = one.running()
        assert set(running) == {"mailstead"}
        assert {each["TargetPort"] for each in running["mailstead"]["Publishers"]} == set(EMBEDDED_PORTS)
        one.prepare("mailstead")
        key = tmp_path / "master.key"
        one.compose("cp", "mailstead:/var/lib/mailstead-keys/master.key", str(key))
        assert len(bytes.fromhex(key.read_text())) == 32
        one.send("first")
        assert one.subjects() == ["first"]
        one.compose("down", "-t", "30")
        assert one.running() == {}
        one.up()
        assert one.subjects() == ["first"]
        one.send("second")
        assert one.subjects() == ["first", "second"]
        one.compose("stop", "-t", "30")
        (container,) = one.compose("ps", "-aq").split()
        assert engine.inspect("container", container)["State"]["ExitCode"] == 0


def test_what_was_backed_up_comes_back_into_an_empty_volume(engine, image, tmp_path):
    place = (
        "MAILSTEAD_BACKUP_TARGET=/var/lib/mailstead-keys/place"  # a volume of its own, as a disk of its own would be
    )
    with stack(engine, image, tmp_path / "kept", [place]) as kept:
        kept.up()
        kept.prepare("mailstead")
        kept.send("first")
        kept.mailstead("mailstead", "backup")
        assert "1 messages" in kept.mailstead("mailstead", "backup", "drill")
        key = kept.mailstead("mailstead", "backup", "key")
        kept.send("later")
        kept.compose("down", "-t", "30")
        (volume,) = (name for name in engine.docker("volume", "ls", "-q").split() if name.endswith("_data"))
        engine.docker("volume", "rm", volume)
        kept.compose("run", "--rm", "-T", "mailstead", "restore", "--key-stdin", stdin=key)
        kept.up()
        assert kept.subjects() == ["first"]


def test_on_the_host_s_own_network_clients_have_their_true_address(engine, image, tmp_path):
    names = {25: "MX_LISTEN", 465: "SUBMISSION_LISTEN_TLS", 587: "SUBMISSION_LISTEN", 143: "IMAP_LISTEN",
             993: "IMAP_LISTEN_TLS", 110: "POP3_LISTEN", 995: "POP3_LISTEN_TLS", 4190: "SIEVE_LISTEN",
             80: "WEB_LISTEN", 443: "WEB_LISTEN_TLS"}  # fmt: skip
    with stack(engine, image, tmp_path / "host") as host:
        shutil.copy(ROOT / "compose.override.example.yaml", host.folder / "compose.override.yaml")
        with (host.folder / ".env").open("a") as file:
            file.writelines(f"MAILSTEAD_{name}=127.0.0.1:{host.port[port]}\n" for port, name in names.items())
        host.up()
        host.prepare("mailstead")
        host.send("hello")
        assert "[127.0.0.1]" in host.received()


def test_a_container_for_each_role(engine, image, tmp_path):
    with stack(engine, image, tmp_path / "roles", ("COMPOSE_PROFILES=roles", "MAILSTEAD_EMBEDDED=0")) as house:
        # All at once, against the order that compose.yaml has: whoever comes first makes stores and key.
        house.compose("up", "-d", "--no-deps", "--wait", "--wait-timeout", "120", *ROLES)
        running = house.running()
        assert set(running) == set(ROLES)
        assert {each["Image"] for each in running.values()} == {image}
        assert {role: house.inspect(role)["RestartCount"] for role in ROLES} == dict.fromkeys(ROLES, 0)
        for role in ROLES:
            found = json.loads(house.mailstead(role, "--json", "health"))
            assert {each["service"] for each in found} == SERVICES.get(role, {role})
        house.prepare("web")
        assert DOMAIN in house.mailstead("imap", "domain", "list")  # what one does, all see
        records = house.mailstead("web", "dns", DOMAIN)  # the house has them all, whoever is asked
        for name, port in (("imaps", 993), ("submissions", 465), ("pop3s", 995)):
            assert re.search(rf"_{name}\._tcp\S+ \d+ IN SRV 0 1 {port} ", records), records

        # What comes through the container of the mx wakes who waits in that of IMAP; by itself it looks each minute.
        with imaplib.IMAP4_SSL("127.0.0.1", house.port[993], ssl_context=tls_context(), timeout=30) as client:
            client.login(ALICE, PASSWORD)
            client.select()
            client.send(b"i IDLE\r\n")
            assert client.readline().startswith(b"+")
            house.send("first")
            assert client.readline() == b"* 1 EXISTS\r\n"
            client.send(b"DONE\r\n")
            while not client.readline().startswith(b"i OK"):
                pass

        # One role starts anew while the others go on: a conversation of POP3 lives, and mail is taken.
        pop3 = poplib.POP3_SSL("127.0.0.1", house.port[995], context=tls_context(), timeout=30)
        pop3.user(ALICE)
        pop3.pass_(PASSWORD)
        house.compose("stop", "-t", "30", "imap")
        house.send("second")
        assert pop3.noop().startswith(b"+OK")
        pop3.quit()
        house.compose("up", "-d", "--wait", "--wait-timeout", "60", "imap")
        assert house.subjects() == ["first", "second"]
        house.compose("stop", "-t", "30")
        assert {role: house.inspect(role)["State"]["ExitCode"] for role in ROLES} == dict.fromkeys(ROLES, 0)


def test_a_house_that_only_forwards(engine, image, tmp_path):
    lines = (
        "COMPOSE_PROFILES=forward-only", "MAILSTEAD_EMBEDDED=0", "MAILSTEAD_SERVER_SERVICES=mx,submission,queue,web",
    )  # fmt: skip
    with stack(engine, image, tmp_path / "forward", lines) as house:
        house.up()
        assert set(house.running()) == {"web", "mx", "smtp", "worker"}
        house.mailstead("web", "domain", "add", DOMAIN)
        records = house.mailstead("web", "dns", DOMAIN)
        assert re.search(r"_submissions\._tcp\S+ \d+ IN SRV 0 1 465 ", records), records
        assert re.search(r"_imaps\._tcp\S+ \d+ IN SRV 0 0 0 \.", records), records


def test_what_is_not_yet_there_says_so_and_ends(engine, image, tmp_path):
    with stack(engine, image, tmp_path / "scaled") as house:
        said = house.compose("--profile", "scaled", "run", "--rm", "-T", "--no-deps", "scaled", expect=None)
        assert "not yet in this version" in said
        house.compose("--profile", "scaled", "up", "scaled", expect=None)
        state = house.inspect("scaled", "--profile", "scaled")["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 78)


def test_pages_of_ones_own_beside_the_compose_file(engine, image, tmp_path):
    lines = ("MAIL_DOMAIN=chat.example.test", "RECREATE_VENV=true")
    with stack(engine, image, tmp_path / "custom", lines) as house:
        page = house.folder / "custom" / "www" / "src" / "index.md"
        page.parent.mkdir(parents=True)
        page.write_text("# Mine, for {{ domain }}\n")
        house.up()
        assert house.landing_page("chat.example.test").count("Mine, for chat.example.test") == 1
        shown = house.mailstead("mailstead", "config", "show")
        assert "/custom/www/src/index.md  the page index in all languages" in shown
        assert "RECREATE_VENV" in shown
        assert "nothing is installed at a start" in house.compose("logs", "mailstead")
        page.write_text("# Another\n")  # without a restart
        assert "Another" in house.landing_page("chat.example.test")


def test_certificates_dumped_by_a_neighbour_are_taken_over(engine, image, tmp_path):
    """compose.traefik.yaml as it is, but for the two foreign images, which cannot be had here: one of ours stands in."""
    stand_in = f"    image: {image}\n    entrypoint: [sh, -c, exec sleep infinity]\n"
    further = f'  traefik:\n{stand_in}    ports: !reset []\n    healthcheck: {{test: [CMD, "true"], interval: 1s}}\n  certificates:\n{stand_in}'
    lines = (
        "MAILSTEAD_SERVER_HOSTNAME=mail.example.test", "ACME_EMAIL=postmaster@example.test", "MAILSTEAD_TLS_WATCH_S=0.2",
        files_of(tmp_path / "traefik", "compose.yaml", "compose.traefik.yaml", "compose.override.yaml"),
    )  # fmt: skip
    certificate, key = tmp_path / "certificate.crt", tmp_path / "privatekey.key"

    with stack(engine, image, tmp_path / "traefik", lines, further) as house:

        def dump():
            """As the dumper writes: certificate, then key, which do not fit together in between."""
            make_self_signed(certificate, key, "mail.example.test")
            for file in (certificate, key):
                place = f"/certificates/mail.example.test/{file.name}"
                house.compose(
                    "exec", "-T", "certificates", "sh", "-c", f"mkdir -p $(dirname {place}) && umask 077 && cat > {place}",
                    stdin=file.read_text(),
                )  # fmt: skip

        def served():
            return ssl.get_server_certificate(("127.0.0.1", house.port[993]), timeout=10)

        house.compose("up", "-d", "certificates")
        dump()
        house.up()
        first = served()
        assert first == certificate.read_text()
        with imaplib.IMAP4_SSL("127.0.0.1", house.port[993], ssl_context=tls_context(), timeout=20) as client:
            dump()
            until(lambda: served() != first, 60, lambda: house.compose("logs", "mailstead"))
            assert served() == certificate.read_text()
            assert client.noop()[0] == "OK"
        assert house.inspect("mailstead")["RestartCount"] == 0


IPV6_NETWORK = """\
networks:
  default:
    enable_ipv6: true
    ipam:
      config:
        - subnet: fd6d:6169:6c73::/64
"""


def open_ports(address):
    """Try each port of an address, from outside the container."""

    def is_open(port):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
            client.settimeout(5)
            return client.connect_ex((address, port)) == 0

    with ThreadPoolExecutor(32) as threads:
        return {port for port, found in enumerate(threads.map(is_open, range(1, 65536)), 1) if found}


def test_attack_108_only_the_intended_ports_answer_over_both_ip_versions(engine, image, tmp_path):
    with stack(engine, image, tmp_path / "scanned", (), IPV6_NETWORK) as house:
        house.up()
        (network,) = house.inspect("mailstead")["NetworkSettings"]["Networks"].values()
        for address in (network["IPAddress"], network["GlobalIPv6Address"]):
            assert open_ports(address) == set(EMBEDDED_PORTS), address
        found = house.inspect("mailstead")
        assert not [mount for mount in found["Mounts"] if mount["Source"].endswith(".sock")]
        assert {mount["Destination"]: mount["RW"] for mount in found["Mounts"]} == {
            "/var/lib/mailstead": True, "/var/lib/mailstead-keys": True, "/custom": False,
        }  # fmt: skip
        host = found["HostConfig"]
        assert (host["Privileged"], host["ReadonlyRootfs"], host["PidMode"], host["IpcMode"]) == (
            False, True, "", "private",
        )  # fmt: skip
        assert host["CapDrop"] == ["ALL"]
        assert [each.removeprefix("CAP_") for each in host["CapAdd"]] == ["NET_BIND_SERVICE"]


def test_attack_013_strangers_whom_docker_s_proxy_brings_are_turned_away(engine, image, tmp_path):
    port = free_ports(1)[0]
    # Over IPv6 into a network that has none: Docker's proxy takes it there.
    override = f'services:\n  mailstead:\n    ports: ["[::1]:{port}:25"]\n'
    lines = (
        "MAILSTEAD_LIMITS_ALLOWS_BRIDGED_CLIENTS=false",
        files_of(tmp_path / "bridged", "compose.yaml", "compose.override.yaml", "compose.bridged.yaml"),
    )
    with stack(engine, image, tmp_path / "bridged", lines) as house:
        (house.folder / "compose.bridged.yaml").write_text(override)
        house.up()  # well, as health checks come from the container itself
        with socket.create_connection(("::1", port), 20) as client:
            assert client.recv(200).startswith(b"421 4.3.2 This server cannot see who is connecting")
        # A neighbour in the same network has an address of its own.
        ask = "import socket; print(socket.create_connection(('mailstead', 25), 20).recv(200))"
        said = house.compose(
            "run", "--rm", "-T", "--no-deps", "--entrypoint", "python", "mailstead", "-c", ask, expect=None
        )
        assert "220 " in said
        assert "look like the bridge of this container" in house.compose("logs", "mailstead")
        found = json.loads(house.mailstead("mailstead", "--json", "doctor", expect=1))
        (told,) = [each for each in found if "client addresses" in each.values()]
        assert "limits.allows_bridged_clients" in told["advice"]
