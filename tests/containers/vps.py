"""A VPS in a container: a whole Debian or Ubuntu with systemd, ssh, ufw and, if wanted, Docker, as a provider hands it out.

Its root file system is made here from the distribution's packages; no image is pulled. `docker restart` is its reboot.
What it cannot show: a kernel of its own, and an address of the Internet.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from containers.engine import Engine, until

UBUNTU_KEYS: Final = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
PLAIN: Final = (
    "apt,systemd,systemd-sysv,dbus,cron,openssh-server,ufw,nftables,iptables,iproute2,procps,ca-certificates,sudo"
)
PYTHON: Final = "python3,python3-venv,python3-pip,pipx"
DOCKER_DEBIAN: Final = "docker.io,docker-cli,docker-compose,docker-registry"
DOCKER_UBUNTU: Final = "docker.io,docker-compose-v2,docker-registry"

# Debian 12 has no Compose of our time: as tools/setup_tools.py does, take these few packages from Debian 13, from the
# same place as the rest.
NEXT_DEBIAN: Final = """\
sed -n '/bookworm main/{s/bookworm main/trixie main/p;q}' /etc/apt/sources.list >/etc/apt/sources.list.d/next.list
printf 'Package: *\\nPin: release n=trixie\\nPin-Priority: 50\\n\\n' >/etc/apt/preferences.d/next
printf 'Package: docker.io docker-cli docker-compose\\nPin: release n=trixie\\nPin-Priority: 990\\n' \\
    >>/etc/apt/preferences.d/next
apt-get update -qq
"""
SUITES: Final = {"debian:12": "bookworm", "debian:13": "trixie", "ubuntu:22.04": "jammy", "ubuntu:24.04": "noble"}

IMAGE: Final = """\
FROM {raw}
COPY ca/ /usr/local/share/ca-certificates/
RUN update-ca-certificates >/dev/null \\
 && printf '[global]\\ncert = /etc/ssl/certs/ca-certificates.crt\\n' >/etc/pip.conf \\
 && printf 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\\n' >>/etc/environment
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
"""


def lacking(system: str) -> str:
    """Give why this system cannot be made here; empty if it can."""
    if system.startswith("ubuntu") and not UBUNTU_KEYS.exists():
        return "missing: ubuntu-keyring; run `make setup-tools` as root"
    return ""


@dataclass
class Vps:
    """The machine while it runs. Use it with `with`, or end it by `stop`."""

    engine: Engine
    name: str
    system: str

    @classmethod
    def start(cls, engine: Engine, system: str = "debian:12", *, has_docker: bool = True) -> Vps:
        """Start a machine and wait until its services are up; the first one of a system takes a minute to make.

        `has_docker`: Docker's packages of the distribution are there, and its engine runs. Without, there is none.
        """
        image = make_image(engine, system, has_docker=has_docker)
        made = cls(engine, f"vps-{secrets.token_hex(4)}", system)
        engine.docker(
            "run", "-d", "--name", made.name, "--hostname", "vps.example.test", "--privileged", "--cgroupns=private",
            "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp",
            # Newer engines keep images in containerd's folder; neither can be an overlay on an overlay.
            "-v", f"{made.name}:/var/lib/docker", "-v", f"{made.name}-images:/var/lib/containerd", image,
        )  # fmt: skip
        try:
            made._until_up()
        except BaseException:
            made.stop()
            raise
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Give the address under which this machine is reached from outside, that is from the tests."""
        return str(self.engine.inspect("container", self.name)["NetworkSettings"]["IPAddress"])

    def run(self, command: str, *, stdin: str | None = None, expect: int | None = 0, limit_s: float = 300) -> str:
        """Run a line of shell as root; gives what it printed. `expect=None`: any exit code, and errors are given too."""
        interactive = ["-i"] if stdin is not None else []
        return self.engine.docker(
            "exec", *interactive, self.name, "sh", "-c", command, stdin=stdin, expect=expect, limit_s=limit_s
        )

    def succeeds(self, command: str) -> bool:
        """Say whether a line of shell ends with 0."""
        done = subprocess.run(
            ["docker", "exec", self.name, "sh", "-c", command],
            env=self.engine.environment, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode == 0

    def copy(self, path: Path, to: str) -> None:
        """Copy a file, or what is in a folder, to that place; owned by root."""
        self.engine.docker("exec", self.name, "mkdir", "-p", to if path.is_dir() else str(Path(to).parent))
        self.engine.docker("cp", "-q", f"{path}/." if path.is_dir() else str(path), f"{self.name}:{to}")
        self.engine.docker("exec", self.name, "chown", "-R", "root:root", to)

    def load(self, image: str, name: str = "") -> None:
        """Hand an image of the engine outside over to the one inside, under another name if one is given."""
        pipe = f"docker save {shlex.quote(image)} | docker exec -i {self.name} docker load -q"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", pipe],
            env=self.engine.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        if name:
            self.run(f"docker tag {shlex.quote(image)} {shlex.quote(name)}")

    def reboot(self) -> None:
        """Shut down and start again, as a reboot does."""
        self.engine.docker("restart", "-t", "60", self.name)
        self._until_up()

    def power_cut(self) -> None:
        """End at once, with nobody asked, and start again."""
        self.engine.docker("kill", self.name)
        self.engine.docker("start", self.name)
        self._until_up()

    def stop(self) -> None:
        self.engine.docker("rm", "-fv", self.name, expect=None)
        self.engine.docker("volume", "rm", "-f", self.name, f"{self.name}-images", expect=None)

    def _until_up(self) -> None:
        def state() -> str:
            return self.run("systemctl is-system-running", expect=None).strip()

        # "degraded" is up as well: with a service that failed, which a container may lack the rights for.
        until(lambda: state() in {"running", "degraded"}, 120, lambda: self.run("systemctl list-jobs", expect=None))


def make_image(engine: Engine, system: str, *, has_docker: bool) -> str:
    """Make the system's image, unless this engine has it; gives its name."""
    name = f"vps:{system.replace(':', '-')}{'-docker' if has_docker else ''}"
    if engine.docker("images", "-q", name):
        return name
    folder = engine.folder / name.replace(":", "-")
    (folder / "ca").mkdir(parents=True)
    archive = folder / "root.tar"
    suite = SUITES[system]
    packages = [PLAIN, PYTHON]
    words = ["mmdebstrap", "-q", "--variant=minbase"]
    if system.startswith("ubuntu"):
        words += [f"--keyring={UBUNTU_KEYS}", "--components=main,universe"]
    if has_docker and system == "debian:12":
        install = f"{NEXT_DEBIAN}apt-get install -y -qq --no-install-recommends {DOCKER_DEBIAN.replace(',', ' ')}"
        words.append(
            f'--customize-hook=DEBIAN_FRONTEND=noninteractive chroot "$1" sh -ec {shlex.quote(install)} >/dev/null'
        )
    elif has_docker:
        packages.append(DOCKER_UBUNTU if system.startswith("ubuntu") else DOCKER_DEBIAN)
    words.append(f"--include={','.join(packages)}")
    subprocess.run(
        [*words, suite, str(archive)], env={**engine.environment, "TMPDIR": str(folder)}, check=True, timeout=600
    )
    raw = f"{name}-raw"
    engine.docker("import", str(archive), raw)
    archive.unlink()
    for file in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(file, folder / "ca")
    (folder / "Dockerfile").write_text(IMAGE.format(raw=raw))
    engine.docker("build", "-q", "-t", name, str(folder))
    return name
