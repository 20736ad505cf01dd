"""The journeys of docs/journeys, step by step on started servers, and how a server starts, changes and stops."""

import signal
import time

import pytest

from system.server import ALICE, BOB, DOMAIN, PASSWORD, Server
from system.wire import Wire, deliver, imap, mx, plain

pytestmark = pytest.mark.full

MESSAGE = (
    b"From: x@elsewhere.test\r\nTo: alice@example.test\r\nSubject: journey\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nfirst part\r\n"
    b'--b\r\nContent-Type: text/plain; name="two.txt"\r\n\r\n0123456789\r\n--b--\r\n'
)


@pytest.fixture
def own(tmp_path):
    """`own(**settings)` starts a server of the test's own, which is stopped and checked at the end."""
    servers = []

    def start(*arguments, **settings):
        server = Server(tmp_path / f"s{len(servers)}", settings=settings, arguments=list(arguments))
        server.folder.mkdir()
        server.prepare(ALICE, BOB)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
        assert server.check() == []


def add_account(server, name):
    address = f"{name}@{DOMAIN}"
    server.run("account", "add", address, "--password-stdin", stdin=PASSWORD + "\n")
    return address


def exists_of(lines):
    return [int(line.split()[1]) for line in lines if line.endswith(b" EXISTS")]


# docs/journeys/message-in.md


def test_a_message_comes_in_and_survives_sigkill(own):
    server = own()
    idler = imap(server, ALICE)
    idler.send(b"i IDLE\r\n")
    assert idler.line().startswith(b"+ ")
    sender = Wire(server, "mx")
    assert sender.reply().startswith(b"220 ")
    # step 2: what is said in clear text before is forgotten
    ehlo, mail, early, _, tls = sender.smtp(
        "EHLO forgotten.test", "MAIL FROM:<forgotten@elsewhere.test>", "STARTTLS", "RSET", "STARTTLS"
    )
    assert [ehlo[:3], mail[:3], early[:3], tls[:3]] == ["250", "250", "503", "220"]
    sender.start_tls()
    assert sender.smtp("MAIL FROM:<x@elsewhere.test>")[0].startswith("503")
    sender.smtp("EHLO client.test")
    # step 3
    replies = sender.smtp("MAIL FROM:<x@elsewhere.test>", "RCPT TO:<nobody@example.test>", f"RCPT TO:<{ALICE}>", "DATA")
    assert [reply[:9] for reply in replies[:3]] == ["250 2.1.0", "550 5.1.1", "250 2.1.5"]
    assert replies[3].startswith("354")
    # steps 4 to 7
    sender.send(MESSAGE + b".\r\n")
    assert sender.reply().startswith(b"250 2.0.0")
    # from here on the message is ours: the process dies at once
    server.kill()
    server.start()
    client = imap(server, ALICE)
    [line] = [line for line in client.imap("FETCH 1 BODY.PEEK[]") if b"BODY[]" in line]
    assert MESSAGE in line
    header = line[: line.index(MESSAGE)]
    assert b"Return-Path: <x@elsewhere.test>" in header
    assert b"ESMTPS" in header  # RFC 3848
    assert b"forgotten" not in line


def test_the_idling_client_hears_at_once(server, until):
    who = add_account(server, "journeyidle")
    idler = imap(server, who)
    idler.send(b"i IDLE\r\n")
    assert idler.line().startswith(b"+ ")
    sender = mx(server)
    for number in (1, 2, 3):
        assert deliver(sender, who, MESSAGE).startswith("250 2.0.0")
        begin = time.monotonic()
        lines = [idler.line()]
        while exists_of(lines) != [number]:
            lines.append(idler.line())
        assert time.monotonic() - begin < 5
    idler.send(b"DONE\r\n")
    idler.imap_until(b"i")


def test_a_full_mailbox_is_said_at_rcpt_or_at_the_end(server):
    who = f"journeyfull@{DOMAIN}"
    server.run("account", "add", who, "--quota", "2000", "--password-stdin", stdin=PASSWORD + "\n")
    sender = mx(server)
    replies = [deliver(sender, who, MESSAGE) for _ in range(6)]
    assert replies[0].startswith("250")
    assert replies[-1][:3] in {"452", "552"}
    assert "2.2 " in replies[-1]
    assert deliver(sender, ALICE, MESSAGE).startswith("250")


# docs/journeys/fetch.md


def test_a_fetch_goes_its_way(server):
    who = add_account(server, "journeyfetch")
    sender = mx(server)
    for _ in range(3):
        assert deliver(sender, who, MESSAGE).startswith("250")
    client, other = imap(server, who), imap(server, who)
    # step 1: a syntax error costs one BAD, not the connection; a literal too large is refused, not read
    assert client.imap("FETCH 1 (BODY[")[-1].split()[1] == b"BAD"
    client.send(b"big SEARCH SUBJECT {99999999}\r\n")
    assert client.imap_until(b"big")[-1].split()[1] in {b"BAD", b"NO"}
    # step 2
    unselected = imap(server, who, select=False)
    assert unselected.imap("FETCH 1 FLAGS")[-1].split()[1] == b"BAD"
    # sections and ranges
    assert b"BODY[1] {10}\r\nfirst part" in client.imap("FETCH 1 BODY.PEEK[1]")[0]
    assert b'BODY[2]<3> "3456"' in client.imap("FETCH 1 BODY.PEEK[2]<3.4>")[0] or (
        b"BODY[2]<3> {4}\r\n3456" in client.imap("FETCH 1 BODY.PEEK[2]<3.4>")[0]
    )
    assert b'"two.txt"' in client.imap("FETCH 1 BODYSTRUCTURE")[0]
    assert b"journey" in client.imap("FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject)]")[0]
    # step 4: PEEK leaves \Seen alone, a plain body sets it in the same answer, and the other session hears of it
    assert b"\\Seen" not in client.imap("FETCH 1 FLAGS")[0]
    answer = client.imap("FETCH 1 (UID BODY[1])")[0]
    assert b"\\Seen" in answer
    assert any(b"* 1 FETCH" in line and b"\\Seen" in line for line in other.imap("NOOP"))
    # step 7: expunged by another: the number stays until a command that may renumber
    assert b" OK " in other.imap("STORE 1 +FLAGS.SILENT (\\Deleted)")[-1]
    assert b"* 1 EXPUNGE" in other.imap("EXPUNGE")
    lines = client.imap("FETCH 2 (UID)")
    assert not any(line.endswith(b" EXPUNGE") for line in lines)
    assert any(line.startswith(b"* 2 FETCH") and b"UID 2" in line for line in lines)
    assert b"* 1 EXPUNGE" in client.imap("NOOP")
    assert any(b"UID 2" in line for line in client.imap("FETCH 1 (UID)"))


def test_a_long_body_leaves_at_the_pace_of_the_client(server):
    """A client that reads slowly holds nothing: others write and read the same mailbox meanwhile."""
    who = add_account(server, "journeyslow")
    client = imap(server, who)
    octets = b"Subject: long\r\n\r\n" + b"0123456789abcdef" * 400_000
    assert b" OK " in client.append(octets)
    slow = imap(server, who)
    slow.send(b"f FETCH 1 BODY.PEEK[]\r\n")
    slow.line()
    assert b" OK " in client.append(b"Subject: second\r\n\r\nx\r\n")
    assert b" OK " in client.imap("STORE 2 +FLAGS.SILENT (\\Deleted)")[-1]
    assert b" OK " in client.imap("EXPUNGE")[-1]
    assert slow.octets(len(octets)) == octets
    assert b" OK " in slow.imap_until(b"f")[-1]
    # What is expunged while it leaves comes whole, or the conversation ends (RFC 2180 §4.1): never other octets.
    slow.send(b"g FETCH 1 BODY.PEEK[]\r\n")
    while b"BODY[]" not in slow.line():
        pass
    assert b" OK " in client.imap("STORE 1 +FLAGS.SILENT (\\Deleted)")[-1]
    assert b" OK " in client.imap("EXPUNGE")[-1]
    try:
        got = slow.octets(len(octets))
    except EOFError:
        got = slow.buffer
    assert octets.startswith(got)


# docs/journeys/alias.md


def test_an_alias_made_while_the_server_runs_is_heard_of(server, until):
    sender, sales = mx(server), f"sales@{DOMAIN}"
    sender.smtp("MAIL FROM:<x@elsewhere.test>")
    assert sender.smtp(f"RCPT TO:<{sales}>")[0].startswith("550 5.1.1")
    server.run("alias", "add", sales, ALICE)
    until(lambda: sender.smtp("RSET", "MAIL FROM:<>", f"RCPT TO:<{sales}>")[2].startswith("250"), 5)
    sender.smtp("RSET")
    assert deliver(sender, sales, MESSAGE.replace(b"journey", b"by alias")).startswith("250")
    client = imap(server, ALICE)
    assert client.imap('SEARCH SUBJECT "by alias"')[0] != b"* SEARCH"
    # step 3: the store decides; the exit code says which of the two it was
    server.run("alias", "add", sales, BOB, expect=73)
    server.run("alias", "add", ALICE, BOB, expect=73)
    # step 2: loops
    one, two = f"one@{DOMAIN}", f"two@{DOMAIN}"
    server.run("alias", "add", one, ALICE)
    server.run("alias", "add", two, one)
    server.run("alias", "remove", one)
    server.run("alias", "add", one, two, expect=65)
    server.run("alias", "add", one, f"nobody@{DOMAIN}", expect=67)
    server.run("alias", "remove", sales)
    until(lambda: sender.smtp("RSET", "MAIL FROM:<>", f"RCPT TO:<{sales}>")[2].startswith("550"), 5)


def test_an_account_removed_while_the_server_runs_ends_its_sessions(server, until):
    who = add_account(server, "journeygone")
    idler, sender = imap(server, who), mx(server)
    idler.send(b"i IDLE\r\n")
    idler.line()
    submission = Wire(server, "submissions")
    submission.reply()
    submission.smtp("EHLO client.test", plain(who))
    server.run("account", "remove", who, "--yes")
    with pytest.raises((EOFError, ConnectionError)):
        while True:
            idler.line()
    until(lambda: sender.smtp("RSET", "MAIL FROM:<>", f"RCPT TO:<{who}>")[2].startswith("550"), 5)


# the process


def test_two_workers_share_ports_stores_and_wakes(own):
    server = own("--workers", "2")
    clients = [imap(server, ALICE) for _ in range(8)]  # the kernel spreads them over both
    for client in clients:
        client.send(b"i IDLE\r\n")
        assert client.line().startswith(b"+ ")
    for number in range(1, 9):
        sender = mx(server)
        assert deliver(sender, ALICE, MESSAGE).startswith("250 2.0.0")
        sender.close()
        for client in clients:
            lines = [client.line()]
            while exists_of(lines) != [number]:
                lines = [*lines, client.line()] if not exists_of(lines) else [client.line()]
    workers = [
        pid for pid in _children(server.process.pid) if "mailstead" in _command(pid) or "python" in _command(pid)
    ]
    assert len(workers) == 2
    connected = [sum(f":{server.port['imaps']}" in line for line in _tcp_of(pid)) for pid in workers]
    assert all(connected), f"one worker has all conversations: {connected}"
    assert server.stop() == 0


def test_a_worker_that_dies_ends_the_whole(own):
    import os

    server = own("--workers", "2")
    os.kill(_children(server.process.pid)[0], signal.SIGKILL)
    assert server.process.wait(20) != 0
    server.start()
    imap(server, ALICE)


def test_a_new_certificate_serves_new_connections(own, tmp_path, until):
    first, second = make_pair(tmp_path / "1", "first.test"), make_pair(tmp_path / "2", "second.test")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    put(first, certificate, key)
    server = own(
        MAILSTEAD_TLS_CERTIFICATE_FILE=str(certificate), MAILSTEAD_TLS_KEY_FILE=str(key), MAILSTEAD_TLS_WATCH_S="0.1"
    )
    lasting = imap(server, ALICE)
    assert lasting.certificate == first[2]
    put(second, certificate, key)
    until(lambda: Wire(server, "imaps").certificate == second[2])
    starttls = mx(server)
    assert starttls.certificate == second[2]
    assert b" OK " in lasting.imap("NOOP")[-1]
    # a broken pair is refused with a line in the log, and the last good one goes on
    key.write_bytes(first[1])
    until(lambda: "new certificate refused" in server.log())
    assert Wire(server, "imaps").certificate == second[2]
    certificate.write_text("no certificate at all\n")
    until(lambda: server.log().count("new certificate refused") >= 2)
    assert Wire(server, "pop3s").certificate == second[2]
    assert b" OK " in lasting.imap("NOOP")[-1]
    put(first, certificate, key)
    until(lambda: Wire(server, "imaps").certificate == first[2])


def test_sigterm_says_goodbye_and_exits_with_zero(own):
    server = own()
    idler, sender, pop = imap(server, ALICE), mx(server), Wire(server, "pop3s")
    pop.line()
    idler.send(b"i IDLE\r\n")
    idler.line()
    assert deliver(sender, ALICE, MESSAGE).startswith("250")
    server.process.send_signal(signal.SIGTERM)
    lines = []
    with pytest.raises(EOFError):
        while True:
            lines.append(idler.line())
    assert any(line.startswith(b"* BYE") for line in lines)
    assert sender.reply().startswith(b"421 ")
    assert server.process.wait(20) == 0
    assert "Traceback" not in server.log()


def test_sigterm_finishes_the_message_that_is_on_its_way(own):
    """A 250 that was about to be said is said, and kept."""
    server = own()
    sender = mx(server)
    for command in ("MAIL FROM:<x@elsewhere.test>", f"RCPT TO:<{ALICE}>", "DATA"):
        sender.smtp(command)
    sender.send(MESSAGE[:50])
    server.process.send_signal(signal.SIGTERM)
    sender.send(MESSAGE[50:] + b".\r\n")
    try:
        is_kept = sender.reply().startswith(b"250")
    except (EOFError, OSError):
        is_kept = False
    assert server.process.wait(20) == 0
    server.start()
    found = exists_of(imap(server, ALICE, select=False).imap("SELECT INBOX"))
    assert found == [1] if is_kept else found in ([0], [1])


def test_attack_073_no_core_dump_is_left(server):
    from pathlib import Path

    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    [line] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]


def test_a_port_in_use_is_explained(own):
    first = own()
    second = Server(first.folder.parent / "second", settings={"MAILSTEAD_MX_LISTEN": f"127.0.0.1:{first.port['mx']}"})
    second.folder.mkdir()
    second.run("init", "--domain", DOMAIN)
    second.run("serve", expect=78)


def make_pair(folder, name):
    """Certificate and key as PEM, and the certificate as DER."""
    import datetime as dt
    import ssl

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, key_pem, ssl.PEM_cert_to_DER_cert(pem.decode())


def put(pair, certificate, key):
    """Replace both files the way ACME clients do: each whole, one after the other."""
    for octets, path in ((pair[1], key), (pair[0], certificate)):
        new = path.with_suffix(".new")
        new.write_bytes(octets)
        new.rename(path)


def _children(pid):
    from pathlib import Path

    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid):
    from pathlib import Path

    return Path(f"/proc/{pid}/cmdline").read_text()


def _tcp_of(pid):
    """``local:port remote:port`` of the established connections of one process."""
    import os
    from pathlib import Path

    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    lines = []
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = row.split()
        if fields[9] in inodes and fields[3] == "01":
            lines.append(f":{int(fields[1].split(':')[1], 16)}")
    return lines
