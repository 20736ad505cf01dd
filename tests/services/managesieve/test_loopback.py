"""Over real sockets with the driver: the dialogues over TCP and TLS, and two foreign clients."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from pathlib import Path

import player
import pytest
import sievelib.managesieve

from mailstead.net.admission import Admission
from mailstead.net.certificates import make_self_signed
from mailstead.net.listener import Listener
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms

FOLDER = Path(__file__).parents[2] / "dialogues" / "managesieve"
ALICE = "alice@example.test"
PASSWORD = "pw-never-in-a-log"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make_self_signed(folder / "cert.pem", folder / "key.pem", "localhost")
    return folder / "cert.pem"


@pytest.fixture(scope="session")
def tls_contexts(certificate):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, certificate.with_name("key.pem"))
    client = ssl.create_default_context(cafile=certificate)
    client.check_hostname = False
    return server, client


@contextlib.asynccontextmanager
async def listening(sieve, context, *, is_tls=False):
    terms = Terms(
        "sieve",
        lambda: sieve.service.session(is_tls=is_tls),
        Admission(),
        context=lambda: context,
        is_tls_implicit=is_tls,
    )
    listener, pulse = Listener("127.0.0.1:0", terms), Pulse()
    listener.bind()
    pulse.start(asyncio.get_running_loop())
    try:
        await listener.start(pulse)
        [endpoint] = listener.bound
        yield endpoint
    finally:
        listener.stop_accepting()
        for _ in range(1000):
            if not listener.open_count:
                break
            await asyncio.sleep(0)
        listener.close()
        pulse.stop()


@pytest.mark.parametrize("path", player.dialogues(FOLDER), ids=lambda path: path.stem)
async def test_dialogue_over_tcp_and_tls(path, tmp_path, open_sieve, tls_contexts):
    numbers = iter(range(100))
    server_context, client_context = tls_contexts

    @contextlib.asynccontextmanager
    async def stage(dialogue):
        is_tls = dialogue.head["tls"] == "yes"
        async with (
            open_sieve(tmp_path / str(next(numbers))) as sieve,
            listening(sieve, server_context, is_tls=is_tls) as endpoint,
        ):
            yield lambda: player.SocketConversation.open(endpoint.host, endpoint.port, client_context, is_tls=is_tls)
            assert dict(await sieve.scripts()).keys() == set(dialogue.head["left"].split())

    await player.play_in_cuts(path, stage, ("whole", "random 1"))


async def test_attack_003_commands_between_starttls_and_the_handshake(sieve, tls_contexts):
    async with listening(sieve, tls_contexts[0]) as endpoint:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        await reader.readuntil(b'OK "mx.example Mailstead ready"\r\n')
        writer.write(b"STARTTLS\r\nNOOP\r\n")
        assert (await reader.readline()).startswith(b"BYE")
        assert await reader.read() == b""
        writer.close()


@pytest.mark.full
async def test_sievelib(sieve, tls_contexts, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    def talk(port):
        client = sievelib.managesieve.Client("127.0.0.1", port, srvhostname="localhost")
        assert client.connect(ALICE, PASSWORD, starttls=True, authmech="PLAIN")
        assert "fileinto" in client.get_sieve_capabilities()
        assert client.havespace("one", 1000)
        assert not client.havespace("one", 100_000)
        assert client.errcode == b"QUOTA"
        assert not client.checkscript("nonsense;\nagain;\n")
        assert b"line 1" in client.errmsg
        script = 'require "fileinto";\r\nif header "Subject" "x" {\r\n  fileinto "Grüße";\r\n}\r\n'
        assert client.putscript("one", script)
        assert client.putscript("second one", "keep;")
        assert client.setactive("one")
        assert client.listscripts() == ("one", ["second one"])
        assert client.getscript("one").split() == script.split()
        assert not client.deletescript("one")
        assert client.errcode == b"ACTIVE"
        assert client.renamescript("one", "zwei ü")
        assert client.deletescript("second one")
        client.logout()

    async with listening(sieve, tls_contexts[0]) as endpoint:
        await asyncio.to_thread(talk, endpoint.port)
    assert await sieve.scripts() == [("zwei ü", True)]


@pytest.mark.full
async def test_sieve_connect(sieve, tls_contexts, certificate, tmp_path):
    """With PLAIN: the Perl library of Debian 12 has no SCRAM-SHA-256."""
    if not (program := shutil.which("sieve-connect")):
        pytest.skip("sieve-connect is not installed: run `make setup-tools` as root")
    (tmp_path / "good.sieve").write_bytes(b'require "fileinto";\r\nfileinto "Archive";\r\n')
    (tmp_path / "bad.sieve").write_bytes(b"keep;\r\nnonsense;\r\n")
    (tmp_path / "password").write_text(PASSWORD + "\n")

    async with listening(sieve, tls_contexts[0]) as endpoint:

        def run(*words, ok=(0,)):
            command = [
                program, "--server", "localhost", "--port", str(endpoint.port), "--4", "--user", ALICE,
                "--tlscafile", str(certificate), "--passwordfd", "0", *words,
            ]  # fmt: skip
            with (tmp_path / "password").open() as password:
                done = subprocess.run(command, stdin=password, capture_output=True, text=True, timeout=60, cwd=tmp_path)
            assert done.returncode in ok, (words, done.returncode, done.stdout, done.stderr)
            return done.stdout + done.stderr

        def talk():
            run("--localsieve", "good.sieve", "--remotesieve", "mine", "--upload")
            assert "mine" in run("--list")
            run("--remotesieve", "mine", "--activate")
            assert "ACTIVE" in run("--list")
            run("--remotesieve", "mine", "--localsieve", "got.sieve", "--download")
            assert (tmp_path / "got.sieve").read_bytes().split() == (tmp_path / "good.sieve").read_bytes().split()
            said = run("--localsieve", "bad.sieve", "--remotesieve", "bad", "--upload", ok=range(1, 256))
            assert "line 2" in said
            assert "line 2" in run("--localsieve", "bad.sieve", "--checkscript", ok=range(256))
            run("--deactivate")
            run("--remotesieve", "mine", "--delete")

        await asyncio.to_thread(talk)
    assert await sieve.scripts() == []
