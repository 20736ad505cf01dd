"""Services named on the command line of `serve`, and how a command beside it in a container knows them."""

import json
import re
import subprocess
import sys

import pytest

from mailstead.cli import containers
from mailstead.cli.answers import ports_of
from mailstead.cli.containers import load_here, services_asked
from mailstead.config.load import load
from mailstead.model.errors import BadSettings
from mailstead.wiring.machine_checks import served_ports
from mailstead.wiring.offers import house_offers, listening
from mailstead.wiring.services import chosen_services, with_services
from system.server import Server


def settings_of(**variables):
    return load(None, {f"MAILSTEAD_{name}": value for name, value in variables.items()}).settings


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("web",), ("web",)),
        (("mx", "smtp"), ("mx", "submission")),
        (("smtp", "imap"), ("mx", "submission", "imap")),
        (("worker",), ("queue",)),
        (("queue", "worker"), ("queue",)),
        (("imap", "api"), ("imap", "api")),
    ],
)
def test_names_of_roles(names, chosen):
    assert chosen_services(names) == chosen


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("imp",), r"There is no service 'imp' \(did you mean imap\?\)"),
        (("submissio",), r"did you mean submission\?"),
        (("workr",), r"did you mean worker\?"),
        (("carddaw",), r"did you mean carddav\?"),
        (("xyz",), r"There is no service 'xyz'; services are mx"),
    ],
)
def test_names_that_stand_for_nothing_here(names, said):
    with pytest.raises(BadSettings, match=said):
        chosen_services(names)


def test_who_runs_one_service_still_offers_those_of_the_house():
    whole = settings_of(IMAP_LISTEN_TLS=":993", SUBMISSION_LISTEN_TLS=":465", WEB_LISTEN=":80")
    one = with_services(whole, ("web",))
    assert [each.service for each in listening(one)] == ["web"]
    assert house_offers(one) == house_offers(whole)
    assert {each.service for each in house_offers(one).offers} == {"imap", "submission"}
    forwarding = settings_of(
        IMAP_LISTEN_TLS=":993", SUBMISSION_LISTEN_TLS=":465", SERVER_SERVICES="mx,submission,queue,web"
    )
    assert {each.service for each in house_offers(with_services(forwarding, ("web",))).offers} == {"submission"}


def test_ports_of_the_api_s_own_are_opened_and_asked():
    settings = settings_of(API_LISTEN_TLS=":8443", API_LISTEN="127.0.0.1:8080")
    assert [(each.where, each.speaks, each.is_tls) for each in listening(settings)] == [
        ("127.0.0.1:8080", "http", False),
        (":8443", "http", True),
    ]
    assert served_ports(settings) == (8443,)
    assert [(port.service, port.number, port.is_tls) for port in ports_of(settings)] == [
        ("api", 8080, False),
        ("api", 8443, True),
    ]


@pytest.mark.parametrize(
    ("words", "services"),
    [
        ("/opt/venv/bin/python /opt/venv/bin/mailstead serve --init web", ("web",)),
        ("/sbin/docker-init -- mailstead serve --init mx,smtp imap", ("mx", "smtp", "imap")),
        ("mailstead --config /etc/m.toml serve --workers 4 imap", ("imap",)),
        ("mailstead serve --services imap,pop3 --init", ("imap", "pop3")),
        ("mailstead serve --services=imap", ("imap",)),
        ("mailstead serve --init", ()),
        ("mailstead serve --demo imap", ()),
        ("mailstead health imap", ()),
        ("/sbin/init serve imap", ()),
        ("", ()),
    ],
)
def test_what_a_container_s_command_asks_for(words, services):
    assert services_asked([*words.split(), ""]) == services


def test_a_command_in_a_container_goes_by_the_services_of_that_container(tmp_path, monkeypatch):
    first = tmp_path / "cmdline"
    first.write_bytes(b"python\0/opt/venv/bin/mailstead\0serve\0--init\0worker\0")
    monkeypatch.setattr(containers, "_FIRST_PROCESS", first)
    loaded = load_here(None, {"MAILSTEAD_SERVER_SERVICES": "smtp,web,queue"})
    assert loaded.settings.server.services == ("queue",)
    assert loaded.settings.server.offered_services == ("smtp", "web", "queue")
    assert loaded.origins["server.services"] == "command of the container"
    assert loaded.origins["server.offered_services"] == "environment MAILSTEAD_SERVER_SERVICES"
    first.unlink()
    assert load_here(None, {}).origins["server.services"] == "default"


def mailstead(server, *words):
    return subprocess.run(
        [sys.executable, "-m", "mailstead", *words], env=server.environment, text=True, capture_output=True, timeout=60
    )


def test_serve_by_words(tmp_path):
    words = ["--init", "mx,smtp", "imap", "pop3,sieve", "worker"]
    server = Server(tmp_path, {"MAILSTEAD_SERVER_SERVICES": "imap"}, words)
    server.start()
    assert server.stop() == 0
    said = {line["event"]: line for line in map(json.loads, server.log().splitlines())}
    assert said["ready"]["services"] == ["mx", "submission", "imap", "pop3", "sieve", "queue"]


def test_the_short_way_of_a_health_check_says_what_the_long_way_says(tmp_path):
    server = Server(tmp_path, arguments=["--init"])
    server.start()
    try:
        short, long = mailstead(server, "health"), mailstead(server, "health", "--services", "")
        assert (short.returncode, long.returncode) == (0, 0)
        # But for the numbers in which POP3 greetings differ.
        assert re.sub(r"<\S+>", "", short.stdout) == re.sub(r"<\S+>", "", long.stdout)
        assert short.stdout.count(" well ") == len(server.port)
    finally:
        assert server.stop() == 0
    down = mailstead(server, "health")
    assert (down.returncode, "Connection refused" in down.stdout) == (1, True), down.stderr
    server.settings["MAILSTEAD_IMAP_LISTEN"] = "nowhere"
    bad = mailstead(server, "health")
    assert (bad.returncode, bad.stderr.startswith("mailstead: ")) == (78, True), bad.stderr


def test_a_health_check_loads_neither_the_command_line_nor_a_service():
    heavy = ("typer", "rich", "asyncio", "mailstead.net.driver", "mailstead.cli.app", "mailstead.usecases")
    program = (
        "import sys; sys.argv[1:] = ['health']\n"
        "from mailstead.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, timeout=60)
    assert done.stderr.strip() == "[]", done.stderr
