"""Attachments that are refused by their names."""

import pytest

from mailstead.mime.tree import part_tree
from mailstead.policy.attachments import refused_attachment


def message(disposition="", content_type="application/octet-stream"):
    return (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n"
        + f"Content-Type: {content_type}\r\n{disposition}\r\n".encode()
        + b"data\r\n--x--\r\n"
    )


@pytest.mark.parametrize(
    ("disposition", "content_type", "refused"),
    [
        ("Content-Disposition: attachment; filename=a.exe\r\n", "application/pdf", "a.exe"),
        ("Content-Disposition: attachment; filename=a.EXE\r\n", "application/pdf", "a.EXE"),
        ('Content-Disposition: attachment; filename="invoice.pdf.exe"\r\n', "application/pdf", "invoice.pdf.exe"),
        ('Content-Disposition: attachment; filename="a.exe. "\r\n', "application/pdf", "a.exe. "),
        ("", "application/pdf; name=b.exe", "b.exe"),
        ("Content-Disposition: attachment; filename*=utf-8''c%2eexe\r\n", "application/pdf", "c.exe"),
        ("Content-Disposition: attachment; filename=a.exe.pdf\r\n", "application/pdf", None),
        ("Content-Disposition: attachment; filename=exe\r\n", "application/pdf", None),
        ("", "application/pdf", None),
    ],
)
def test_the_last_extension_decides(disposition, content_type, refused):
    found = refused_attachment(part_tree(message(disposition, content_type)), {"exe", "scr"})
    assert (found.rstrip() if found else found) == (refused.rstrip() if refused else refused)


def test_nothing_is_refused_where_nothing_is_listed():
    parts = part_tree(message("Content-Disposition: attachment; filename=a.exe\r\n"))
    assert refused_attachment(parts, frozenset()) is None
