"""The Compose files by themselves: each with each profile, without an engine."""

import json
import os
import shutil
import subprocess

import pytest

from containers.engine import ROOT
from containers.test_compose import EMBEDDED_PORTS, ROLES

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not shutil.which("docker"), reason="missing: docker; run `make setup-tools` as root"),
]

TRAEFIK = {"MAILSTEAD_SERVER_HOSTNAME": "mail.example.test", "ACME_EMAIL": "postmaster@example.test"}
DATABASES = {"MONGODB_PASSWORD": "one", "REDIS_PASSWORD": "two"}
FILES = ("", "compose.override.example.yaml", "compose.traefik.yaml", "compose.scaled.yaml")
PROFILES = {
    "": set(),
    "embedded": set(),
    "roles": set(ROLES),
    "forward-only": {"web", "mx", "smtp", "worker"},
    "scaled": {"scaled"},
}
FURTHER = {"compose.traefik.yaml": {"prepare", "traefik", "certificates"}}
ENDING = {"prepare", "scaled"}
"""Services that do one thing and end."""


def configured(folder, further, profile, variables, expect=0):
    """Give the services as Compose understands them; with another exit code what it says."""
    for file in ("compose.yaml", *filter(None, [further])):
        shutil.copy(ROOT / file, folder)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    words = ["docker", "compose", "--project-directory", str(folder), "-f", str(folder / "compose.yaml")]
    words += ["-f", str(folder / further)] if further else []
    words += ["--profile", profile] if profile else []
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "MAILSTEAD_"))}

    def run(*more):
        return subprocess.run([*words, "config", *more], env=inherited, capture_output=True, text=True, timeout=60)

    quiet = run("-q")
    assert (quiet.returncode != 0) == bool(expect), quiet.stderr
    assert quiet.stdout == ""
    return quiet.stderr if expect else json.loads(run("--format", "json").stdout)["services"]


def published(service):
    return {int(port["published"]) for port in service.get("ports", ())}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("further", FILES)
def test_each_file_with_each_profile_is_sound(tmp_path, further, profile):
    services = configured(tmp_path, further, profile, {**TRAEFIK, **DATABASES})
    databases = {"mongodb", "redis"} if (further, profile) == ("compose.scaled.yaml", "scaled") else set()
    assert set(services) == {"mailstead", *PROFILES[profile], *FURTHER.get(further, ()), *databases}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert not service.get("privileged"), name
        assert (service["restart"] == "no" if "restart" in service else True) == (
            name in ENDING or "restart" not in service
        )
        if name in {"mailstead", *ROLES, *databases}:
            assert service["read_only"], name
            assert service["healthcheck"]["test"], name
        if name in ROLES:
            assert service["command"][:2] == ["serve", "--init"]
            needed = set() if name == "web" else {"web"}
            assert set(service.get("depends_on", ())) == needed
        # Foreign images have a version; ours is pinned in .env, as updates need it.
        assert not service["image"].endswith(":latest") or service["image"] == "mailstead:latest", name


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("further", FILES)
def test_attack_108_only_mail_and_web_are_published_and_no_socket_is_mounted(tmp_path, further, profile):
    services = configured(tmp_path, further, profile, {**TRAEFIK, **DATABASES})
    is_host = further == "compose.override.example.yaml"
    for name, service in services.items():
        ports = {"mailstead": set(EMBEDDED_PORTS), "traefik": {80, 443}, **{role: set(p) for role, p in ROLES.items()}}
        expected = set() if is_host else ports.get(name, set())
        if (further, name) == ("compose.traefik.yaml", "mailstead"):
            expected -= {80, 443}
        assert published(service) == expected, name
        assert not any("sock" in volume.get("source", "") for volume in service.get("volumes", ())), name
        custom = [volume for volume in service.get("volumes", ()) if volume["target"] == "/custom"]
        assert all(volume["read_only"] for volume in custom)
        if is_host and name in {"mailstead", *ROLES}:
            assert service["network_mode"] == "host"


@pytest.mark.parametrize("missing", DATABASES)
def test_attack_108_a_database_without_a_password_does_not_start(tmp_path, missing):
    left = {name: value for name, value in DATABASES.items() if name != missing}
    said = configured(tmp_path, "compose.scaled.yaml", "scaled", left, expect=1)
    assert f"{missing} is missing a value: set it in .env" in said


def test_attack_108_databases_are_in_a_network_that_leads_nowhere(tmp_path):
    services = configured(tmp_path, "compose.scaled.yaml", "scaled", DATABASES)
    for name in ("mongodb", "redis"):
        assert list(services[name]["networks"]) == ["stores"]
        assert "ports" not in services[name]


def test_the_one_container_can_be_left_out(tmp_path):
    services = configured(tmp_path, "", "roles", {"MAILSTEAD_EMBEDDED": "0"})
    assert services["mailstead"]["scale"] == 0
    assert {name: published(services[name]) for name in ROLES} == {name: set(ports) for name, ports in ROLES.items()}
