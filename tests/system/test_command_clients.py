"""curl, swaks, msmtp, fetchmail and mpop: command-line clients that others wrote."""

import mailbox
import subprocess

import imapclient
import pytest

from system.server import ALICE, DOMAIN, PASSWORD, tls_context

pytestmark = pytest.mark.full


def run(*command, stdin=None, ok=(0,)):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, input=stdin)
    assert done.returncode in ok, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def new_account(server, name):
    address = f"{name}@{DOMAIN}"
    server.run("account", "add", address, "--password-stdin", stdin=PASSWORD + "\n")
    return address


def subjects(server, who):
    with imapclient.IMAPClient("127.0.0.1", server.port["imaps"], ssl_context=tls_context()) as client:
        client.login(who, PASSWORD)
        client.select_folder("INBOX")
        found = client.fetch(client.search("ALL"), ["ENVELOPE"])
        return sorted(row[b"ENVELOPE"].subject.decode() for row in found.values())


def test_curl_sends_reads_and_searches(server, need, tmp_path):
    curl, who = need("curl"), new_account(server, "curl")
    (tmp_path / "m").write_text(f"From: {who}\r\nTo: {who}\r\nSubject: by curl\r\n\r\nhello curl\r\n")
    run(
        curl,
        "-sSk",
        f"smtps://127.0.0.1:{server.port['submissions']}",
        "--user",
        f"{who}:{PASSWORD}",
        "--mail-from",
        who,
        "--mail-rcpt",
        who,
        "--upload-file",
        str(tmp_path / "m"),
    )
    imaps = f"imaps://127.0.0.1:{server.port['imaps']}"
    assert "Subject: by curl" in run(curl, "-sSk", "--user", f"{who}:{PASSWORD}", f"{imaps}/INBOX;MAILINDEX=1")
    assert "* SEARCH 1" in run(curl, "-sSk", "--user", f"{who}:{PASSWORD}", f"{imaps}/INBOX?TEXT%20hello")
    assert "hello curl" in run(
        curl, "-sSk", "--user", f"{who}:{PASSWORD}", f"pop3s://127.0.0.1:{server.port['pop3s']}/1"
    )
    starttls = f"imap://127.0.0.1:{server.port['imap']}/INBOX;MAILINDEX=1"
    assert "by curl" in run(curl, "-sSk", "--ssl-reqd", "--user", f"{who}:{PASSWORD}", starttls)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_authenticates_and_sends(server, need, mechanism):
    swaks = need("swaks")
    out = run(
        swaks,
        "--server",
        f"127.0.0.1:{server.port['submission']}",
        "--tls",
        "--auth",
        mechanism,
        "--auth-user",
        ALICE,
        "--auth-password",
        PASSWORD,
        "--from",
        ALICE,
        "--to",
        ALICE,
        "--header",
        f"Subject: swaks {mechanism}",
    )
    assert "250 2.0.0" in out
    assert f"swaks {mechanism}" in subjects(server, ALICE)


def test_swaks_pipelines_to_the_mx(server, need):
    run(
        need("swaks"),
        "--server",
        f"127.0.0.1:{server.port['mx']}",
        "--pipeline",
        "--from",
        "x@elsewhere.test",
        "--to",
        ALICE,
        "--header",
        "Subject: swaks pipelined",
    )
    assert "swaks pipelined" in subjects(server, ALICE)


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_msmtp_authenticates_and_sends(server, need, mechanism):
    msmtp = need("msmtp")
    run(
        msmtp,
        "--host=127.0.0.1",
        f"--port={server.port['submission']}",
        "--tls=on",
        "--tls-starttls=on",
        "--tls-certcheck=off",
        f"--auth={mechanism}",
        f"--user={ALICE}",
        f"--passwordeval=printf %s {PASSWORD}",
        f"--from={ALICE}",
        ALICE,
        stdin=f"From: {ALICE}\nSubject: msmtp {mechanism}\n\nhello\n",
    )
    assert f"msmtp {mechanism}" in subjects(server, ALICE)


def test_fetchmail_and_mpop_fetch_by_pop3(server, need, tmp_path):
    mpop, fetchmail, who = need("mpop"), need("fetchmail"), new_account(server, "popper")
    with imapclient.IMAPClient("127.0.0.1", server.port["imaps"], ssl_context=tls_context()) as client:
        client.login(who, PASSWORD)
        for number in range(5):
            client.append("INBOX", f"Subject: pop {number}\r\n\r\n.dot\r\nbody\r\n".encode())
    into = tmp_path / "mpop"
    for part in ("cur", "new", "tmp"):
        (into / part).mkdir(parents=True)
    run(
        mpop,
        "--host=127.0.0.1",
        f"--port={server.port['pop3s']}",
        "--tls=on",
        "--tls-starttls=off",
        "--tls-certcheck=off",
        f"--user={who}",
        f"--passwordeval=printf %s {PASSWORD}",
        f"--delivery=maildir,{into}",
        f"--uidls-file={tmp_path}/uidls",
        "--keep=on",
        "--auth=user",
    )
    assert len(mailbox.Maildir(into)) == 5
    assert any("\n.dot\n" in message.as_string() for message in mailbox.Maildir(into))
    config = tmp_path / "fetchmailrc"
    config.write_text(
        f'poll 127.0.0.1 protocol pop3 port {server.port["pop3s"]} username "{who}" password "{PASSWORD}" ssl no sslcertck '
        f'no keep fetchall mda "cat >> {tmp_path}/fetched"\n'
    )
    config.chmod(0o600)
    run(fetchmail, "-f", str(config), "--pidfile", str(tmp_path / "pid"), "-i", str(tmp_path / "ids"))
    assert (tmp_path / "fetched").read_text().count("Subject: pop") == 5
    assert subjects(server, who) == []
