"""The loader: file, environment, units, and a helpful sentence for each mistake."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailstead.config import load as loading
from mailstead.config.load import load
from mailstead.config.settings import setting
from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "m.toml"
        path.write_text(text)
        return path

    return write


def test_nothing_given_is_all_defaults():
    loaded = load(None, {})
    assert loaded.settings.server.hostname == "localhost"
    assert set(loaded.origins.values()) == {"default"}


def test_file_then_environment(file):
    path = file('[server]\nhostname = "mx.example"\nworkers = 2\n')
    loaded = load(path, {"MAILSTEAD_SERVER_WORKERS": "4", "OTHER": "x"})
    assert (loaded.settings.server.hostname, loaded.settings.server.workers) == ("mx.example", 4)
    assert loaded.origins["server.hostname"] == f"file {path}"
    assert loaded.origins["server.workers"] == "environment MAILSTEAD_SERVER_WORKERS"


def test_config_variable_names_the_file(file):
    path = file('[server]\nhostname = "mx.example"\n')
    assert load(None, {"MAILSTEAD_CONFIG": str(path)}).settings.server.hostname == "mx.example"


@pytest.mark.parametrize(
    ("text", "octets"),
    [("1000", 1000), ('"50 MiB"', 50 * 1024**2), ('"1.5k"', 1536), ('"1 GB"', 10**9), ('"2_000"', 2000), ("1.0", 1)],
)
def test_sizes(file, text, octets):
    assert load(file(f"[smtp]\nmessage_octets_max = {text}"), {}).settings.smtp.message_octets_max == octets


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), ("10 min", 600), ("2h", 7200), ("250ms", 0.25), ("1 d", 86400)]
)
def test_durations(text, seconds):
    loaded = load(None, {"MAILSTEAD_IMAP_IDLE_LIMIT_S": text})
    assert loaded.settings.imap.idle_limit_s == pytest.approx(seconds)


@pytest.mark.parametrize("text", ['["127.0.0.1:25", "[::1]:25"]', '"127.0.0.1:25, [::1]:25,"'])
def test_lists_are_arrays_or_comma_texts(file, text):
    assert load(file(f"[mx]\nlisten = {text}"), {}).settings.mx.listen == ("127.0.0.1:25", "[::1]:25")


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("TRUE", True), ("0", False), ("off", False)])
def test_booleans_from_the_environment(text, value):
    assert load(None, {"MAILSTEAD_SERVER_USE_UVLOOP": text}).settings.server.use_uvloop is value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[server]\nhostnam = "x"', "did you mean hostname?"),
        ("[servr]", "did you mean server?"),
        ("server = 1", "[server]"),
        ("[smtp]\nidle_limit_s = 5", "Unknown setting smtp.idle_limit_s"),
        ('[server]\nworkers = "many"', 'server.workers must be a whole number, 1 or more, not "many"'),
        ("[server]\nworkers = 0", "1 or more, not 0"),
        ("[server]\nworkers = true", "not true"),
        ("[server]\nworkers = 1.5", "not 1.5"),
        ("[server]\nhostname = 5", "server.hostname must be a text, not 5"),
        ('[server]\nuse_uvloop = "maybe"', "true or false"),
        ('[server]\nlog_level = "loud"', "one of debug, info, warning, error"),
        ('[server]\nservices = ["mx", "ftp"]', "out of mx, submission"),
        ("[server]\nservices = [1]", "a list of texts"),
        ('[smtp]\nmessage_octets_max = "5 parsecs"', "a size in octets"),
        ("[smtp]\nmessage_octets_max = -1", "not -1"),
        ("[imap]\nidle_limit_s = inf", "seconds, or a duration"),
        ('[tls]\ncertificate_file = "a"', "belong together"),
        ('[server]\ndata_dir = ""', "path"),
        ("[server\n", "not valid TOML"),
    ],
)
def test_each_mistake_in_a_file_is_named(file, text, said):
    path = file(text)
    with pytest.raises(BadSettings) as caught:
        load(path, {})
    assert said in caught.value.public_text
    if "belong" not in said and said != "[server]":
        assert str(path) in caught.value.public_text


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(BadSettings, match="cannot be read"):
        load(tmp_path / "absent", {})
    with pytest.raises(BadSettings, match="cannot be read"):
        load(tmp_path, {})
    (tmp_path / "latin").write_bytes(b"[server]\nhostname='\xe9'")
    with pytest.raises(BadSettings, match="not UTF-8"):
        load(tmp_path / "latin", {})


@pytest.mark.parametrize("variable", ["MAILSTEAD_SERVER_HOSTNAM", "MAILSTEAD_SEVER_HOSTNAME", "MAILSTEAD_CONFG"])
def test_unknown_variables_are_named_with_the_nearest(variable):
    with pytest.raises(BadSettings, match="did you mean MAILSTEAD_"):
        load(None, {variable: "x"})


@pytest.mark.parametrize(
    "variable",
    ["MAILSTEAD_SERVICE_HOST", "MAILSTEAD_PORT_25_TCP_ADDR", "MAILSTEAD_IMAP_PORT", "MAILSTEAD_IMAP_SERVICE_PORT_TLS"],
)
def test_quirk_kubernetes_service_links_are_not_ours(variable):
    assert load(None, {variable: "tcp://10.0.0.1:25"}).origins


def test_master_key_file_is_a_setting_of_its_own():
    loaded = load(None, {"MAILSTEAD_STORE_MASTER_KEY_FILE": "/run/secrets/key"})
    assert loaded.settings.store.master_key_file == "/run/secrets/key"
    with pytest.raises(BadSettings, match="not both"):
        load(None, {"MAILSTEAD_STORE_MASTER_KEY_FILE": "/x", "MAILSTEAD_STORE_MASTER_KEY": "ab"})


def test_a_secret_of_the_wrong_type_is_not_repeated(file):
    with pytest.raises(BadSettings) as caught:
        load(file("[store]\nmaster_key = 12345678"), {})
    assert "12345678" not in caught.value.public_text


@dataclass(frozen=True)
class _Push:
    token: Secret = setting(Secret(""), "A secret without a file setting of its own.")


@dataclass(frozen=True)
class _Schema:
    push: _Push = field(default_factory=_Push)


def test_secrets_also_by_file(tmp_path):
    (tmp_path / "token").write_text("hush\n")
    environ = {"MAILSTEAD_PUSH_TOKEN_FILE": str(tmp_path / "token")}
    settings, origins = loading._gathered(_Schema, None, environ, {})
    assert settings.push.token.reveal() == "hush"
    assert origins["push.token"] == "environment MAILSTEAD_PUSH_TOKEN_FILE"
    with pytest.raises(BadSettings, match="not both"):
        loading._gathered(_Schema, None, {**environ, "MAILSTEAD_PUSH_TOKEN": "x"}, {})
    with pytest.raises(BadSettings, match="cannot be read"):
        loading._gathered(_Schema, None, {"MAILSTEAD_PUSH_TOKEN_FILE": str(tmp_path / "absent")}, {})
    (tmp_path / "token").write_bytes(b"x" * 70000)
    with pytest.raises(BadSettings, match="too large"):
        loading._gathered(_Schema, None, environ, {})


def test_origin_paths_are_paths():
    assert isinstance(load(None, {"MAILSTEAD_SERVER_DATA_DIR": "/x"}).settings.server.data_dir, Path)
