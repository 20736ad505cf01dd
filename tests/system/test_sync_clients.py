"""mbsync and offlineimap: two-way synchronisation with clients that others wrote."""

import mailbox
import subprocess

import imapclient
import pytest

from system.server import BOB, DOMAIN, PASSWORD, tls_context

pytestmark = pytest.mark.full


def account(server, name):
    address = f"{name}@{DOMAIN}"
    server.run("account", "add", address, "--password-stdin", stdin=PASSWORD + "\n")
    return address


def connect(server, who):
    client = imapclient.IMAPClient("127.0.0.1", server.port["imaps"], ssl_context=tls_context())
    client.login(who, PASSWORD)
    return client


def certificate(server):
    return next((server.folder / "data").rglob("*cert*.pem"))


def test_mbsync_both_ways(server, need, tmp_path):
    mbsync, who = need("mbsync"), account(server, "mbsync")
    (tmp_path / "mail").mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(f"""
IMAPAccount far
Host 127.0.0.1
Port {server.port["imaps"]}
User {who}
Pass {PASSWORD}
SSLType IMAPS
CertificateFile {certificate(server)}

IMAPStore far
Account far

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")

    def sync():
        done = subprocess.run([mbsync, "-c", str(config), "-a"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    with connect(server, who) as client:
        for number in range(30):
            client.append("INBOX", f"Subject: far {number}\r\n\r\nbody {number}\r\n".encode())
        client.create_folder("Lists/One")
        client.append("Lists/One", b"Subject: listed\r\n\r\nx\r\n")
        sync()
        near = mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)
        assert len(near) == 30
        assert len(mailbox.Maildir(tmp_path / "mail" / "Lists" / "One", create=False)) == 1
        # near to far: a new message, a flag, a deletion
        near.add(mailbox.MaildirMessage(b"Subject: near\n\nfrom near\n"))
        keys = sorted(near.keys(), key=lambda key: near[key]["Subject"])
        flagged = next(key for key in keys if near[key]["Subject"] == "far 3")
        message = near[flagged]
        message.set_flags("FS")
        near[flagged] = message
        removed = next(key for key in keys if near[key]["Subject"] == "far 4")
        trashed = near[removed]
        trashed.set_flags("T")
        near[removed] = trashed
        sync()
        client.select_folder("INBOX")
        assert len(client.search("ALL")) == 30
        assert client.search(["SUBJECT", "near"])
        assert client.search(["FLAGGED", "SUBJECT", "far 3"])
        assert not client.search(["SUBJECT", "far 4"])
        # far to near
        client.delete_messages(client.search(["SUBJECT", "far 5"]))
        client.expunge()
        sync()
        assert len(mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)) == 29


def test_offlineimap_both_ways(server, need, tmp_path):
    offlineimap, who = need("offlineimap"), account(server, "offline")
    config = tmp_path / "offlineimaprc"
    config.write_text(f"""
[general]
accounts = a
metadata = {tmp_path}/meta
socktimeout = 30
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {server.port["imaps"]}
ssl = yes
sslcacertfile = {certificate(server)}
remoteuser = {who}
remotepass = {PASSWORD}
""")

    def sync():
        done = subprocess.run(
            [offlineimap, "-1", "-o", "-u", "basic", "-c", str(config)], capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stdout + done.stderr

    with connect(server, who) as client:
        for number in range(10):
            client.append("INBOX", f"Subject: far {number}\r\n\r\nbody {number}\r\n".encode(), flags=[b"\\Seen"])
        sync()
        near = mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)
        assert len(near) == 10
        near.add(mailbox.MaildirMessage(b"Subject: near\n\nfrom near\n"))
        sync()
        client.select_folder("INBOX")
        assert len(client.search("ALL")) == 11
        client.delete_messages(client.search(["SUBJECT", "far 5"]))
        client.expunge()
        sync()
        assert len(mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)) == 10
        assert client.search(["SUBJECT", "near"])


def test_bob_is_not_touched(server):
    with connect(server, BOB) as client:
        client.select_folder("INBOX")
        assert not client.search(["SUBJECT", "far"])
