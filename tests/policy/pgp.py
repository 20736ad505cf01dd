"""OpenPGP messages put together by hand, and mails around them."""

import base64
import binascii

CRC24_INIT, CRC24_POLY = 0xB704CE, 0x1864CFB


def packet(tag, body, form="new"):
    """A packet with one of the forms of length."""
    size = len(body)
    if form == "new":
        if size < 192:
            length = bytes([size])
        elif size < 8384:
            length = bytes([(size - 192 >> 8) + 192, size - 192 & 0xFF])
        else:
            length = b"\xff" + size.to_bytes(4, "big")
        return bytes([0xC0 | tag]) + length + body
    if form == "five":
        return bytes([0xC0 | tag]) + b"\xff" + size.to_bytes(4, "big") + body
    if form == "partial":
        first, rest = body[:512], body[512:]
        return bytes([0xC0 | tag, 224 + 9]) + first + bytes([len(rest)]) + rest
    kind = {"old1": 0, "old2": 1, "old4": 2, "old-indeterminate": 3}[form]
    length = size.to_bytes(1 << kind, "big") if kind < 3 else b""
    return bytes([0x80 | tag << 2 | kind]) + length + body


def session_key(tag=1, size=94, form="new"):
    return packet(tag, bytes([3 if tag == 1 else 4]) + b"k" * (size - 1), form)


def data(size=300, form="new", tag=18):
    return packet(tag, b"\x01" + bytes(number * 7 % 256 for number in range(size - 1)), form)


def crc24(octets):
    crc = CRC24_INIT
    for octet in octets:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= CRC24_POLY
    return base64.b64encode((crc & 0xFFFFFF).to_bytes(3, "big"))


def armored(octets, *, headers=b"", checksum=True):
    text = binascii.b2a_base64(octets, newline=False)
    lines = b"".join(text[at : at + 64] + b"\r\n" for at in range(0, len(text), 64))
    end = b"=" + crc24(octets) + b"\r\n" if checksum else b""
    return b"-----BEGIN PGP MESSAGE-----\r\n" + headers + b"\r\n" + lines + end + b"-----END PGP MESSAGE-----\r\n"


MESSAGE = session_key() + session_key() + data()


def mail(
    armor=None,
    *,
    sender="alice1234@chat.test",
    subject="[...]",
    further=b"",
    top=b'multipart/encrypted; protocol="application/pgp-encrypted"',
    first=b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
    second=b"Content-Type: application/octet-stream\r\n\r\n",
    extra=b"",
):
    armor = armored(MESSAGE) if armor is None else armor
    return (
        f'From: <{sender}>\r\nTo: "hidden-recipients": ;\r\nSubject: {subject}\r\n'.encode()
        + further
        + b"MIME-Version: 1.0\r\nContent-Type: "
        + top
        + b'; boundary="b"\r\n\r\n--b\r\n'
        + first
        + b"\r\n--b\r\n"
        + second
        + armor
        + b"\r\n"
        + extra
        + b"--b--\r\n"
    )


def secure_join(header="vc-request", text="Secure-Join: vc-request", sender="alice1234@chat.test", extra=b""):
    return (
        (
            f"From: <{sender}>\r\nSubject: [...]\r\nSecure-Join: {header}\r\n"
            'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
            f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        ).encode()
        + extra
        + b"--b--\r\n"
    )


def plain(sender="alice1234@chat.test", text=b"Hi!", further=b""):
    return f"From: <{sender}>\r\nSubject: hello\r\n".encode() + further + b"\r\n" + text + b"\r\n"


def setup_message(sender="alice1234@chat.test", subject="Autocrypt Setup Message"):
    return (
        (
            f"From: <{sender}>\r\nTo: <{sender}>\r\nSubject: {subject}\r\nAutocrypt-Setup-Message: v1\r\n"
            'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
            "--b\r\nContent-Type: text/plain\r\n\r\nThis is your key.\r\n"
            "--b\r\nContent-Type: application/autocrypt-setup\r\n\r\n<html><pre>"
        ).encode()
        + armored(MESSAGE)
        + b"</pre></html>\r\n--b--\r\n"
    )


def report(sender="MAILER-DAEMON@other.test", submitted=b"Auto-Submitted: auto-replied\r\n", kind=b"delivery-status"):
    return (
        f"From: Mail Delivery System <{sender}>\r\nSubject: Undelivered Mail\r\n".encode()
        + submitted
        + b"Content-Type: multipart/report; report-type=" + kind + b'; boundary="b"\r\n\r\n'
        b"--b\r\n\r\nIt could not be delivered.\r\n"
        b"--b\r\nContent-Type: message/" + kind + b"\r\n\r\nReporting-MTA: dns; x\r\n\r\n--b--\r\n"
    )  # fmt: skip
