"""A Docker engine and a registry of our own, in a folder of our own, and nothing of them left afterwards.

No registry of others is reached. The base image is a stand-in that Debian's packages are made into here, under the name
that the Dockerfile uses: it has the same Python, and trusts what this machine trusts.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from system.server import free_ports

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("docker", "dockerd", "docker-registry", "iptables", "mmdebstrap")
SBIN = "/usr/sbin:/sbin"
OCTETS_MIN = 2 * 1024**3

STAND_IN = """\
FROM stand-in-raw
COPY ca/ /usr/local/share/ca-certificates/
RUN update-ca-certificates && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED \\
 && ln -s /usr/bin/python3 /usr/local/bin/python \\
 && printf '[global]\\ncert = /etc/ssl/certs/ca-certificates.crt\\n' >/etc/pip.conf
CMD ["python3"]
"""


def missing() -> str:
    """Give why no engine can run here; empty if one can."""
    lacking = [name for name in NEEDED if not shutil.which(name, path=f"{os.environ['PATH']}:{SBIN}")]
    if os.geteuid() != 0:
        return "a Docker engine of our own needs root"
    return f"missing: {', '.join(lacking)}; run `make setup-tools` as root" if lacking else ""


@dataclass
class Engine:
    """The engine while it runs: commands against it."""

    folder: Path
    registry: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MAILSTEAD_", "DOCKER_", "COMPOSE_", "BUILDKIT_"))
        }
        return {
            **inherited,
            "PATH": f"{os.environ['PATH']}:{SBIN}",
            "DOCKER_HOST": f"unix://{self.folder}/d.sock",
            "DOCKER_CONFIG": str(self.folder / "cfg"),
        }

    def docker(self, *words: str, stdin: str | None = None, expect: int | None = 0, limit_s: float = 300) -> str:
        """Run a docker command; gives what it printed. `expect=None`: any exit code, and errors are given too."""
        done = subprocess.run(
            ["docker", *words], env=self.environment, input=stdin, capture_output=True, text=True, timeout=limit_s
        )
        if expect is None:
            return done.stdout + done.stderr
        assert done.returncode == expect, (
            f"docker {shlex.join(words)}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        )
        return done.stdout

    def inspect(self, kind: str, name: str) -> dict:
        return json.loads(self.docker(kind, "inspect", name))[0]

    def start(self) -> None:
        port = free_ports(1)[0]
        self.registry = f"127.0.0.1:{port}"  # the engine believes registries on loopback without TLS
        (self.folder / "registry.yml").write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {self.folder}/registry}}}}\n"
            f'http: {{addr: "{self.registry}"}}\n'
        )
        self._run("docker-registry", "serve", str(self.folder / "registry.yml"))
        at = self.folder
        (at / "none.json").write_text("{}")  # not the machine's own /etc/docker/daemon.json
        daemon = self._run(
            "dockerd", "--data-root", f"{at}/data", "--exec-root", f"{at}/exec", "--pidfile", f"{at}/d.pid",
            "--config-file", f"{at}/none.json", "-H", f"unix://{at}/d.sock",
        )  # fmt: skip
        until(lambda: self._answers(daemon), 60, lambda: f"dockerd does not answer:\n{self._log('dockerd')}")

    def make_base(self, name: str) -> None:
        """Make the stand-in under the base image's name."""
        packages = "--include=ca-certificates,python3,python3-pip,python3-venv"
        archive = self.folder / "base.tar"
        subprocess.run(
            ["mmdebstrap", "-q", "--variant=minbase", packages, "trixie", str(archive)],
            env={**self.environment, "TMPDIR": str(self.folder)}, check=True, timeout=240,
        )  # fmt: skip
        self.docker("import", str(archive), "stand-in-raw")
        archive.unlink()
        authorities = self.folder / "stand-in" / "ca"
        authorities.mkdir(parents=True)
        for file in Path("/usr/local/share/ca-certificates").glob("*.crt"):
            shutil.copy(file, authorities)
        (self.folder / "stand-in" / "Dockerfile").write_text(STAND_IN)
        self.docker("build", "-q", "-t", name, str(self.folder / "stand-in"))

    def stop(self) -> None:
        """End containers, engine and registry, by their process ids."""
        with suppress(Exception):  # whatever is wrong with the engine, it has to end
            for container in self.docker("ps", "-aq").split():
                self.docker("rm", "-f", container, expect=None)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # What the engine had mounted below its folder would keep the folder from going.
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in sorted((each for each in mounted if each.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)

    def _run(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{program}.log").open("wb") as log:
            process = subprocess.Popen([program, *words], env=self.environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def _answers(self, daemon: subprocess.Popen[bytes]) -> bool:
        assert daemon.poll() is None, self._log("dockerd")
        return not subprocess.run(["docker", "info"], env=self.environment, capture_output=True).returncode

    def _log(self, program: str) -> str:
        return (self.folder / f"{program}.log").read_text()[-4000:]


def until(is_so: Callable[[], bool], limit_s: float, otherwise: Callable[[], str]) -> None:
    """Ask until it is so. Docker tells of nothing that these tests wait for in a way that is simpler than asking."""
    end_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_s, otherwise()
        time.sleep(0.1)  # between two questions, each of which starts a process


def base_name() -> str:
    """Give the image that the Dockerfile builds on; it must be one, and the same in each stage."""
    names = set(re.findall(r"(?m)^FROM (\S+)", (ROOT / "Dockerfile").read_text()))
    assert len(names) == 1, names
    return names.pop()


class NetworkOfBefore:
    """What the machine's network was before the engine; `restore` takes away what the engine has added."""

    TABLES = tuple((command, table) for command in ("iptables", "ip6tables") for table in ("filter", "nat", "raw"))
    FORWARD = Path("/proc/sys/net/ipv4/ip_forward")

    def __init__(self) -> None:
        self._rules = {at: self._listed(*at) for at in self.TABLES}
        self._bridges = self._bridges_now()
        self._forward = self.FORWARD.read_text()

    def restore(self) -> None:
        for (command, table), before in self._rules.items():
            new = [shlex.split(line) for line in self._listed(command, table) if line not in before]
            policies = [shlex.split(line) for line in before if line.startswith("-P")]
            chains = [words[1] for words in new if words[0] == "-N"]
            steps = [["-D", *words[1:]] for words in new if words[0] == "-A" and words[1] not in chains]
            steps += [["-F", chain] for chain in chains] + [["-X", chain] for chain in chains]
            for step in [*steps, *(words for words in policies if new)]:
                subprocess.run([command, "-w", "-t", table, *step], env=self._environment, capture_output=True)
        for bridge in self._bridges_now() - self._bridges:
            subprocess.run(["ip", "link", "delete", bridge], env=self._environment, capture_output=True)
        self.FORWARD.write_text(self._forward)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{os.environ['PATH']}:{SBIN}"}

    def _listed(self, command: str, table: str) -> list[str]:
        done = subprocess.run(
            [command, "-w", "-t", table, "-S"], env=self._environment, capture_output=True, text=True, check=False
        )
        return done.stdout.splitlines()

    @staticmethod
    def _bridges_now() -> set[str]:
        return {place.parent.name for place in Path("/sys/class/net").glob("*/bridge")}
