"""The messages of the relay's own tests, in our words: what is encrypted, what only looks so, and the few exceptions."""

from policy.pgp import armored, packet

SESSION_KEY, ENCRYPTED, LITERAL = 1, 18, 11
BOUNDARY = "frontier"


def armour(*tags):
    return armored(b"".join(packet(tag, b"\x03" + b"x" * 40) for tag in tags)).decode()


def head(sender, to, subject, content_type, extra=""):
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{subject.strip('[]. ') or 'm'}@x.test>\r\n{extra}MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n"
    )


def multipart(sender, to, subject, content_type, *parts, extra=""):
    body = "".join(f"--{BOUNDARY}\r\n{part}\r\n" for part in parts)
    kind = f'{content_type}; boundary="{BOUNDARY}"'
    return (head(sender, to, subject, kind, extra) + f"\r\n{body}--{BOUNDARY}--\r\n").encode()


def _pgp(sender, to, subject, text, extra=""):
    return multipart(
        sender, to, subject, 'multipart/encrypted; protocol="application/pgp-encrypted"',
        "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
        f"Content-Type: application/octet-stream\r\n\r\n{text}",
        extra=extra,
    )  # fmt: skip


def encrypted(sender, to, subject="[...]", extra=""):
    return _pgp(sender, to, subject, armour(SESSION_KEY, SESSION_KEY, ENCRYPTED), extra)


def literal(sender, to):
    return _pgp(sender, to, "literal", armour(LITERAL))


def plain(sender, to):
    return (head(sender, to, "plain", "text/plain") + "\r\nHi!\r\n").encode()


def fake_encrypted(sender, to):
    return (head(sender, to, "fake", "text/plain") + "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nHi!\r\n\r\n-----END PGP MESSAGE-----\r\n").encode()  # fmt: skip


def mdn(sender, to):
    return multipart(
        sender, to, "receipt", "multipart/report; report-type=disposition-notification",
        "Content-Type: text/plain\r\n\r\nread\r\n",
        "Content-Type: message/disposition-notification\r\n\r\nDisposition: manual-action\r\n",
        extra="Auto-Submitted: auto-replied\r\n",
    )  # fmt: skip


def mailer_daemon(sender, to):
    return multipart(
        f"MAILER-DAEMON@{sender.partition('@')[2]}", to, "Undelivered", "multipart/report; report-type=delivery-status",
        "Content-Type: text/plain\r\n\r\nsorry\r\n",
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x.test\r\n",
        extra="Auto-Submitted: auto-replied\r\n",
    )  # fmt: skip


def securejoin(sender, to, text="Secure-Join: vc-request"):
    return multipart(
        sender, to, "join", "multipart/mixed", f"Content-Type: text/plain\r\n\r\n{text}\r\n",
        extra="Secure-Join: vc-request\r\n",
    )  # fmt: skip


def securejoin_fake(sender, to):
    return securejoin(sender, to, "Buy more of everything")


def setup_message(sender, to):
    return multipart(
        sender, to, "Autocrypt Setup Message", "multipart/mixed",
        "Content-Type: text/plain\r\n\r\nThis is the Autocrypt Setup Message.\r\n",
        f"Content-Type: application/autocrypt-setup\r\n\r\n{armour(3, ENCRYPTED)}",
        extra="Autocrypt-Setup-Message: v1\r\n",
    )  # fmt: skip
