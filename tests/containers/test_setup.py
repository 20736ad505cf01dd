"""`self-hosting/setup.sh` on a machine as a provider hands it out: set up, again, guarded, rebooted, backed up, brought back.

The tests of the machine follow each other, as its days do.
"""

import asyncio
import imaplib
import re
import smtplib
import socket
import subprocess
import tarfile

import httpx2
import pytest

from containers import vps
from containers.engine import ROOT, until
from system.server import ALICE, DOMAIN, PASSWORD, free_ports, tls_context

pytestmark = [pytest.mark.full, pytest.mark.timeout(1500)]

MOTO = ROOT / ".test-tools" / "moto" / "bin" / "moto_server"
PORTS = {25, 80, 110, 143, 443, 465, 587, 993, 995, 4190}
SCANNED = range(1, 10_001)
IMAGE = "127.0.0.1:5000/mailstead"  # the registry inside the machine
REGISTRY = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "127.0.0.1:5000"}
"""
FOLDER = "/opt/mailstead"
SECRET = "secret-of-the-bucket"
# Nothing goes to the Internet: a resolver that is not there, and senders that are not looked up.
ALONE = ("MAILSTEAD_DNS_SERVERS=127.0.0.1:9", "MAILSTEAD_AUTHENTICATION_IS_ENABLED=false")
SET_UP = f"--yes --domain {DOMAIN} --cert-method self-signed --port-25-target none --blocklists none"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Give the files as a release's archive has them."""
    file = tmp_path_factory.mktemp("release") / "mailstead.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        for each in [*ROOT.glob("compose*.yaml"), ROOT / ".env.example", ROOT / "self-hosting"]:
            if each.name != "compose.override.yaml":
                tar.add(each, f"mailstead-1.0.0/{each.name}")
    return file


@pytest.fixture(scope="module")
def bucket(engine):
    """Give the address of a bucket that the machines can reach, as one of a provider."""
    if not MOTO.exists():
        pytest.skip("needs moto: make setup-tools")
    [port] = free_ports(1)
    host = engine.docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}").strip()
    url = f"http://{host}:{port}"
    process = subprocess.Popen(
        [MOTO, "-H", host, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: puts(f"{url}/kept"), 60, lambda: "moto does not answer")
        yield url
    finally:
        process.terminate()
        process.wait()


def puts(url):
    try:
        return httpx2.put(url).status_code == 200
    except httpx2.TransportError:
        return False


class Machine:
    """A machine with Docker and a registry of its own, and the files of a release; nothing is set up."""

    def __init__(self, engine, image, archive, system):
        self.vps = vps.Vps.start(engine, system)
        self.image = image
        self.run = self.vps.run
        self.copy_release(archive)

    def copy_release(self, archive):
        # As its package has it, the registry listens for everybody and asks for a password.
        self.run("cat >/etc/docker/registry/config.yml && systemctl restart docker-registry", stdin=REGISTRY)
        self.vps.load(self.image, f"{IMAGE}:1.0.0")
        self.run(
            f"docker push -q {IMAGE}:1.0.0 && docker tag {IMAGE}:1.0.0 {IMAGE}:latest && docker push -q {IMAGE}:latest"
        )
        self.run(f"docker rmi {IMAGE}:latest {IMAGE}:1.0.0 {self.image}")
        self.vps.copy(archive, "/root/mailstead.tar.gz")
        self.run("tar -xzf /root/mailstead.tar.gz -C /root --strip-components=1 mailstead-1.0.0/self-hosting/setup.sh")
        lines = "\n".join(ALONE)
        self.run(f"install -d {FOLDER} && cat >{FOLDER}/.env && chmod 600 {FOLDER}/.env", stdin=f"# mine\n{lines}\n")

    def set_up(self, words, **how):
        """Run setup.sh from the release's archive."""
        return self.run(
            f"sh /root/self-hosting/setup.sh --from /root/mailstead.tar.gz {words} 2>&1", limit_s=600, **how
        )

    def mailstead(self, words, **how):
        return self.run(f"cd {FOLDER} && docker compose exec -T mailstead mailstead {words}", **how)

    def add_alice(self):
        add = f"docker compose exec -T mailstead mailstead account add {ALICE} --password-stdin"
        self.run(f"cd {FOLDER} && {add}", stdin=f"{PASSWORD}\n")

    def send(self, subject):
        with smtplib.SMTP(self.vps.address, 25, timeout=20) as client:
            text = f"From: me@elsewhere.test\nTo: {ALICE}\nSubject: {subject}\n\nHi\n"
            client.sendmail("me@elsewhere.test", ALICE, text)

    def subjects(self):
        with imaplib.IMAP4_SSL(self.vps.address, 993, ssl_context=tls_context(), timeout=20) as client:
            client.login(ALICE, PASSWORD)
            client.select()
            numbers = client.search(None, "ALL")[1][0].split()
            heads = [client.fetch(each, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1] for each in numbers]
        return [re.search(rb"Subject: (\S+)", head)[1].decode() for head in heads]

    def serves(self):
        try:
            with socket.create_connection((self.vps.address, 25), 5) as client:
                return client.recv(4).startswith(b"220")
        except OSError:
            return False

    def until_it_serves(self, limit_s=120):
        until(
            self.serves,
            limit_s,
            lambda: self.run(f"cd {FOLDER} && docker compose ps -a; docker compose logs --tail 50"),
        )

    def kept(self):
        """Give what must not change: settings, the master key, and when the data were begun."""
        key = self.run(f"cd {FOLDER} && docker compose exec -T mailstead sha256sum /var/lib/mailstead-keys/master.key")
        return self.run(f"sha256sum {FOLDER}/.env; stat -c '%a %U' {FOLDER}/.env"), key


@pytest.fixture(scope="module", params=["debian:12", "ubuntu:24.04"])
def machine(request, engine, image, archive):
    """Give a machine that has been set up, with one message."""
    if reason := vps.lacking(request.param):
        pytest.skip(reason)
    made = Machine(engine, image, archive, request.param)
    try:
        made.said = made.set_up(f"{SET_UP} --image {IMAGE}")
        made.add_alice()
        made.send("first")
        yield made
    finally:
        made.vps.stop()


def test_mail_comes_in_and_the_settings_that_were_there_stay(machine):
    assert machine.subjects() == ["first"]
    env = machine.run(f"cat {FOLDER}/.env")
    assert env.startswith("# mine\n")
    for line in (*ALONE, f"MAILSTEAD_IMAGE={IMAGE}", "MAILSTEAD_TAG=1.0.0", f"MAILSTEAD_SETUP_DOMAIN={DOMAIN}"):
        assert line in env.splitlines(), env
    assert machine.run(f"stat -c %a {FOLDER}/.env").strip() == "600"
    assert f"admin@{DOMAIN}" in machine.said
    link = re.search(r"https://\S+", machine.said.partition("Set the password")[2])[0]
    assert link.rpartition("/")[2] not in machine.run("cat /var/log/mailstead-setup-*.log")
    assert machine.run("stat -c %a /var/log/mailstead-setup-*.log").split() == ["600"]


def test_a_second_time_does_no_harm(machine):
    before = machine.kept()
    machine.set_up(SET_UP)
    assert machine.kept() == before
    assert machine.subjects() == ["first"]
    said = machine.set_up(f"{SET_UP} --version 2.0.0", expect=1)
    assert "another version is for self-hosting/update.sh 2.0.0" in said


def test_only_the_intended_ports_answer_from_outside(machine):
    machine.run("systemd-run -q --unit stray python3 -m http.server 8080")
    until(lambda: machine.vps.succeeds("ss -Hltn 'sport = :8080' | grep -q ."), 20, lambda: machine.run("ss -ltn"))
    assert machine.vps.succeeds("ufw status | grep -q 'Status: active'")
    assert open_ports(machine.vps.address) == {22, *PORTS}
    # Whoever has moved ssh is not locked out.
    machine.run("echo 'Port 2222' >/etc/ssh/sshd_config.d/moved.conf && systemctl restart ssh")
    machine.set_up(SET_UP)
    assert machine.vps.succeeds("ufw status | grep -q '^2222/tcp *ALLOW'")
    machine.run("systemctl stop stray")


def open_ports(address):
    """Give which of the scanned ports take a connection."""

    async def is_open(port, free):
        # The firewall answers nothing, so closed ports cost their whole time; those that must answer get a longer one.
        patience_s = 15 if port in {22, *PORTS} else 1
        async with free:
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), patience_s)
            except (TimeoutError, OSError):
                return False
            writer.close()
            return True

    async def scan():
        free = asyncio.Semaphore(1000)
        found = await asyncio.gather(*(is_open(port, free) for port in SCANNED))
        return {port for port, answers in zip(SCANNED, found, strict=True) if answers}

    return asyncio.run(scan())


def test_a_reboot_brings_everything_back(machine):
    machine.vps.reboot()
    machine.until_it_serves()
    assert machine.subjects() == ["first"]
    assert machine.vps.succeeds("ufw status | grep -q 'Status: active'")


def test_backups_updates_and_a_second_machine(machine, engine, image, archive, bucket):
    name = machine.vps.system.replace(":", "-").replace(".", "-")
    keys = f"export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY={SECRET} AWS_ENDPOINT_URL={bucket}\n"
    machine.run("umask 077; cat >/root/keys", stdin=keys)
    said = machine.set_up("--action auto-update --yes", expect=1)
    assert "--action backups first" in said
    said = machine.run(
        f". /root/keys; sh {FOLDER}/self-hosting/setup.sh --action backups --yes --bucket s3://kept/{name}"
    )
    key = re.search(r"^([0-9A-Z]+(?:-[0-9A-Z]+){5,})$", said, re.MULTILINE)[1]
    logs = machine.run("cat /var/log/mailstead-setup-*.log")
    assert key not in logs
    assert SECRET not in logs
    machine.send("second")
    machine.mailstead("backup")
    machine.send("later")

    said = machine.set_up("--action auto-update --yes")
    assert "mailstead-update.timer" in machine.run("systemctl list-timers --no-pager")
    machine.run("systemctl start mailstead-update.service")  # nothing is newer
    assert machine.vps.succeeds("systemctl is-enabled -q mailstead-recover.service")
    machine.set_up("--action auto-update --off --yes")
    assert "mailstead-update.timer" not in machine.run("systemctl list-timers --all --no-pager")

    other = Machine(engine, image, archive, machine.vps.system)
    try:
        other.run("umask 077; cat >/root/keys", stdin=keys)
        restore = (
            f". /root/keys; sh /root/self-hosting/setup.sh --from /root/mailstead.tar.gz {SET_UP} --action restore "
            f"--image {IMAGE} --bucket s3://kept/{name} 2>&1"
        )
        said = other.run(restore, stdin="WRONG-KEY\n", expect=1, limit_s=600)
        assert "nothing could be restored" in said
        said = other.run(restore, stdin=f"{key}\n", limit_s=600)
        assert key not in other.run("cat /var/log/mailstead-setup-*.log")
        assert other.subjects() == ["first", "second"]
        # Settings come back that this machine was never told.
        settings = f"grep -E '^MAILSTEAD_(SERVER_HOSTNAME|SETUP_DOMAIN)=' {FOLDER}/.env | sort"
        assert other.run(settings) == machine.run(settings) != ""
        assert not other.vps.succeeds(f"grep -q MX_LISTEN= {FOLDER}/.env | grep -v '^#'")
        # Data that is there is backed up before another state takes its place, and not without being told to.
        other.send("third")
        refused = restore.replace("--yes", "")
        assert "there is data here, and nothing was changed" in other.run(refused, expect=1, limit_s=600)
        assert other.subjects() == ["first", "second", "third"]
        other.run(restore, stdin="", limit_s=600)
        assert other.subjects() == ["first", "second"]
        newest = other.mailstead("backup list").split()[-1]
        other.run(restore + f" --snapshot {newest}", stdin="", limit_s=600)
        assert other.subjects() == ["first", "second", "third"]
    finally:
        other.vps.stop()
    assert machine.subjects() == ["first", "second", "later"]


def test_attack_107_the_power_goes_in_the_middle_of_an_update(machine, bucket):
    """And nobody is there: what was interrupted is finished when the machine is up again."""
    machine.run(
        f"printf 'FROM {IMAGE}:1.0.0\\nLABEL org.opencontainers.image.version=1.1.0\\n' | docker build -q -t {IMAGE}:1.1.0 - "
        f"&& docker push -q {IMAGE}:1.1.0 && docker rmi {IMAGE}:1.1.0"
    )
    before = machine.subjects()
    machine.run(f"systemd-run -q --unit updating sh {FOLDER}/self-hosting/update.sh 1.1.0 --folder {FOLDER}")
    state = f"grep -q phase=trying {FOLDER}/.update-state"
    until(lambda: machine.vps.succeeds(state), 200, lambda: machine.run(f"tail -n 30 {FOLDER}/update.log"))
    machine.vps.power_cut()
    machine.until_it_serves(240)
    until(
        lambda: not machine.vps.succeeds(f"test -e {FOLDER}/.update-state"),
        120,
        lambda: machine.run("journalctl -u mailstead-recover -n 50"),
    )
    assert machine.subjects() == before
    machine.run(f"sh {FOLDER}/self-hosting/update.sh 1.1.0 --folder {FOLDER}", limit_s=400)
    assert machine.subjects() == before


def test_uninstalled_and_back_and_gone(machine):
    before = machine.subjects()
    assert "not confirmed" in machine.set_up("--action uninstall", expect=1)
    machine.set_up("--action uninstall --yes")
    assert machine.run("docker ps -aq") == ""
    assert not machine.serves()
    machine.set_up(SET_UP)
    assert machine.subjects() == before
    machine.set_up("--action uninstall --yes --purge")
    assert machine.run("docker ps -aq; docker volume ls -q") == ""
    assert not machine.vps.succeeds(f"test -e {FOLDER}")


def test_docker_comes_from_the_distribution(machine):
    """The last of the machine's days: what has Docker goes. Debian 12's own is too old, so Debian 13 has to help."""
    plugin = "docker-compose-v2" if machine.vps.system.startswith("ubuntu") else "docker-compose"
    machine.run(
        "systemctl stop docker.socket docker; "
        f"apt-get purge -y -qq docker.io docker-cli {plugin} 2>/dev/null || apt-get purge -y -qq docker.io {plugin}; "
        "rm -rf /etc/apt/preferences.d/next /etc/apt/sources.list.d/next.list; apt-get update -qq"
    )
    assert not machine.vps.succeeds("command -v docker")
    said = machine.set_up(f"{SET_UP} --image {IMAGE}")
    assert f"Installing docker.io {plugin}" in said
    assert "Done. Settings:" in said
    assert machine.serves()
    if machine.vps.system == "debian:12":
        assert "Looking at Debian 13's packages" in said
        policy = machine.run("apt-cache policy bash docker.io")
        assert "Candidate: 5.2.15" in policy, "nothing else comes from Debian 13"
        assert machine.run("apt-get -s upgrade | grep -c trixie || true").strip() == "0"
