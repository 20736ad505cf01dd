"""`mailstead config show`: beside settings, what comes of custom files and of a relay's container variables."""

import json
import subprocess
import sys

import pytest

from mailstead.cli.containers import CONTAINER_VARIABLES, further_settings, relay_of, told_by_variables
from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.errors import DomainExists, NoSuchDomain
from mailstead.policy.profiles import PROFILES
from mailstead.usecases.relay_settings import adopt
from mailstead.wiring.house import ADMINISTRATOR
from system.server import Server

ALONE = {"MAIL_DOMAIN": "chat.example"}


@pytest.mark.parametrize(
    ("name", "value", "settings", "told"),
    [
        ("MAIL_DOMAIN", "chat.example", {}, "the domain chat.example"),
        ("INI_FILE", "/nowhere/chatmail.ini", {}, "without it the variables are enough"),
        ("FORCE_REINIT_INI_FILE", "true", {}, "the variables count anew at each start"),
        ("ACME_EMAIL", "me@chat.example", {"acme.email": "me@chat.example"}, "acme.email = me@chat.example"),
        ("USE_FOREIGN_CERT_MANAGER", "true", {}, "none is ordered here"),
        (
            "PATH_TO_SSL", "/certs",
            {"tls.certificate_file": "/certs/fullchain", "tls.key_file": "/certs/privkey"}, "tls.certificate_file",
        ),
        ("ENABLE_CERTS_MONITORING", "false", {}, "always on"),
        ("CERTS_MONITORING_TIMEOUT", "30", {"tls.watch_s": "30"}, "tls.watch_s = 30"),
        ("CHANGE_KERNEL_SETTINGS", "False", {}, "nothing of the machine is changed"),
        ("RECREATE_VENV", "true", {}, "nothing is installed at a start"),
        ("DEBUG_COMMANDS_ENABLED", "true", {}, "mailstead doctor"),
        ("IS_DEVELOPMENT_INSTANCE", "True", {}, "no banner"),
        ("FS_INOTIFY_MAX_USER_INSTANCES_AND_WATCHERS", "65535", {}, "nothing of the machine is changed"),
    ],
)  # fmt: skip
def test_each_variable_of_a_relay_s_container(name, value, settings, told):
    environ = {**ALONE, name: value}
    assert name in CONTAINER_VARIABLES
    assert told in told_by_variables(environ)[name]
    assert {key: text for key, (text, _) in further_settings(environ).items()} == settings
    if name not in {"MAIL_DOMAIN", "INI_FILE"}:
        assert told_by_variables({name: value}) == {name: "of no effect without MAIL_DOMAIN or INI_FILE"}


def test_none_is_left_out_of_the_table():
    (marked,) = test_each_variable_of_a_relay_s_container.pytestmark
    assert sorted(row[0] for row in marked.args[1]) == sorted(CONTAINER_VARIABLES)


def mailstead(server, *words):
    return subprocess.run(
        [sys.executable, "-m", "mailstead", *words], env=server.environment, text=True, capture_output=True, timeout=60
    )


def test_custom_files_and_variables_stand_below_the_settings(tmp_path):
    folder = tmp_path / "custom"
    (folder / "www" / "src").mkdir(parents=True)
    (folder / "www" / "src" / "index.md").touch()
    (folder / "www" / "src" / "index2.md").touch()
    server = Server(tmp_path, {"MAILSTEAD_WEB_CUSTOM_FOLDER": str(folder), **ALONE, "RECREATE_VENV": "true"})
    text = mailstead(server, "config", "show").stdout
    assert f"{folder}/www/src/index.md   the page index in all languages" in text
    assert f"{folder}/www/src/index2.md  nothing: there is nothing of that name; did you mean www/src/index.md?" in text
    assert "RECREATE_VENV" in text
    found = json.loads(mailstead(server, "--json", "config", "show").stdout)
    assert found["web.custom_folder"]["value"] == str(folder)
    assert [each["replaces"] for each in found["custom_files"]] == ["the page index in all languages", ""]
    assert set(found["container_variables"]) == {"MAIL_DOMAIN", "RECREATE_VENV"}


def test_a_start_says_once_what_comes_of_the_variables(tmp_path):
    server = Server(tmp_path, {**ALONE, "RECREATE_VENV": "true"}, ["--init"])
    server.start()
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log().splitlines()]
    (said,) = [line for line in lines if line["event"] == "variables of a relay's container"]
    assert "nothing is installed at a start" in said["RECREATE_VENV"]


async def test_containers_that_start_at_once_make_a_relay_s_domain_once():
    relay = relay_of(ALONE)
    said = []

    class SecondToCome:
        """The domains, as a process sees them that another one has overtaken."""

        async def get(self, _actor, name):
            said.append("get")
            if said.count("get") == 1:
                raise NoSuchDomain(name)
            return Domain(name, DomainTerms(**PROFILES["chatmail"]))

        async def add(self, *_):
            raise DomainExists

        async def set_terms(self, _actor, name, _terms):
            said.append(f"set {name}")

    await adopt(SecondToCome(), ADMINISTRATOR, relay)
    assert said == ["get", "get", "set chat.example"]
