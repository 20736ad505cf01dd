"""The Compose files as an operator uses them: checked in all their combinations, and the stack with mail through it."""

import imaplib
import json
import re
import secrets
import shutil
import smtplib
from contextlib import contextmanager

import pytest

from containers.engine import ROOT
from system.server import ALICE, DOMAIN, PASSWORD, free_ports, tls_context

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

EMBEDDED_PORTS = (25, 465, 587, 143, 993, 110, 995, 4190, 80, 443)
WEB_PORTS = (80, 443)
TRAEFIK = {"MAILSTEAD_SERVER_HOSTNAME": "mail.example.test", "ACME_EMAIL": "postmaster@example.test"}


class Stack:
    """A folder as an operator has it: the Compose files unchanged, an `.env`, and an override that moves the ports."""

    def __init__(self, engine, image, folder, lines=()):
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
            *lines,
        ]
        (folder / ".env").write_text((ROOT / ".env.example").read_text() + "\n".join(settings) + "\n")
        services = {"mailstead": EMBEDDED_PORTS, "mail": set(EMBEDDED_PORTS) - set(WEB_PORTS), "web": WEB_PORTS}
        override = ["services:"]
        for service, ports in services.items():
            override += [f"  {service}:", "    ports: !override"]
            override += [f'      - "127.0.0.1:{self.port[port]}:{port}"' for port in ports]
        (folder / "compose.override.yaml").write_text("\n".join(override) + "\n")

    def compose(self, *words, **how):
        return self._engine.docker("compose", "--project-directory", str(self.folder), *words, **how)

    def up(self):
        self.compose("up", "-d", "--wait", "--wait-timeout", "60")

    def running(self):
        listed = [json.loads(line) for line in self.compose("ps", "--format", "json").splitlines()]
        return {each["Service"]: each for each in listed}

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


@contextmanager
def stack(engine, image, folder, lines=()):
    folder.mkdir()
    made = Stack(engine, image, folder, lines)
    try:
        yield made
    finally:
        made.compose("down", "-v", "--remove-orphans", "-t", "30")


@pytest.mark.parametrize("profile", ["", "split"])
@pytest.mark.parametrize("further", ["", "compose.override.example.yaml", "compose.traefik.yaml"])
def test_each_file_with_each_profile_is_sound(engine, tmp_path, further, profile):
    for file in ("compose.yaml", *filter(None, [further])):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in TRAEFIK.items()))
    words = ["compose", "--project-directory", str(tmp_path), "-f", str(tmp_path / "compose.yaml")]
    words += ["-f", str(tmp_path / further)] if further else []
    words += ["--profile", profile] if profile else []
    engine.docker(*words, "config", "-q")
    services = json.loads(engine.docker(*words, "config", "--format", "json"))["services"]
    expected = {"mailstead"} | ({"mail", "web"} if profile else set())
    expected |= {"prepare", "traefik", "certificates"} if "traefik" in further else set()
    assert set(services) == expected
    ours = [service for name, service in services.items() if name in {"mailstead", "mail", "web"}]
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours)
    mounted = [volume["source"] for service in services.values() for volume in service.get("volumes", ())]
    assert not any("docker.sock" in source for source in mounted)
    if "traefik" in further:
        web_ports = {int(port["published"]) for port in services["traefik"]["ports"]}
        assert web_ports.isdisjoint(int(port["published"]) for port in services["mailstead"]["ports"])
        assert services["mailstead"]["environment"]["MAILSTEAD_TLS_CERTIFICATE_FILE"].startswith("/certificates/")


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


def test_mail_and_web_in_two_containers_from_one_image(engine, image, tmp_path):
    lines = ("COMPOSE_PROFILES=split", "MAILSTEAD_EMBEDDED=0")
    with stack(engine, image, tmp_path / "two", lines) as two:
        two.up()
        running = two.running()
        assert set(running) == {"mail", "web"}
        assert {each["Image"] for each in running.values()} == {image}
        two.prepare("web")
        # What one of them does the other sees: both have the data.
        assert DOMAIN in two.mailstead("mail", "domain", "list")
        two.send("hello")
        assert two.subjects() == ["hello"]
        for service, asked in (("mail", {"mx", "submission", "imap", "pop3", "sieve"}), ("web", {"web"})):
            found = json.loads(two.mailstead(service, "--json", "health"))
            assert {each["service"] for each in found} == asked
