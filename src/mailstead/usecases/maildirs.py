r"""Maildir and Maildir++ as a foreign format: read with flags and dates, and written so that others can read it.

Names of files and folders found are data: they choose flags and a mailbox name, and never a path of ours. Names of
files written are made by us alone (attack row 71). Symbolic links and devices are not followed: whoever owns the folder
is not whoever runs the command.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from mailstead.model.errors import BadImport
from mailstead.model.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flags
from mailstead.model.mailbox import DELIMITER, INBOX

_FLAG_OF: Final = {"D": DRAFT, "F": FLAGGED, "P": "$Forwarded", "R": ANSWERED, "S": SEEN, "T": DELETED}
_LETTER_OF: Final = {flag: letter for letter, flag in _FLAG_OF.items()}
_INFO: Final = re.compile(r"[:;!]2,([A-Za-z]*)$")
"""Behind the colon stand the flags; where a file system has no colon in names, programs write ; or !."""

_LEADING_NUMBER: Final = re.compile(r"[0-9]{1,18}(?=\.)")

KEYWORDS_FILE: Final = "dovecot-keywords"
"""Letter a is line 0, b is line 1 …: the only keyword list that several programs know."""
MAILDIR_MARK: Final = "maildirfolder"
"""Empty file in each folder of a Maildir but the first. Spec: Maildir++."""
_KEYWORD: Final = re.compile(r"[^\s(){%*\"\\\]\x00-\x1f\x7f]{1,64}")
_KEYWORDS_MAX: Final = 26

_QUIRK_OTHER_FOLDERS: Final = frozenset({"cur", "new", "tmp"})


class Entry(NamedTuple):
    """One message file of a Maildir."""

    path: Path
    mailbox: str
    flags: Flags
    internaldate: datetime


def is_maildir(path: Path) -> bool:
    """Whether a folder is a Maildir, or holds Maildirs."""
    return any(True for _ in _folders(path))


def entries(path: Path, target: str = INBOX) -> list[Entry]:
    """Give all message files, mailbox by mailbox, each in the order in which the messages came.

    Shapes: the Maildir itself becomes `target`; its folders lie below it, or beside it if it is INBOX.
    Errors: BadImport.
    """
    found: list[Entry] = []
    for folder, name in _folders(path):
        mailbox = target if not name else name if target == INBOX else f"{target}{DELIMITER}{name}"
        keywords = _keywords(folder)
        here: list[tuple[int, str, Entry]] = []
        for subfolder in ("cur", "new"):
            for file in _listed(folder / subfolder):
                if file.name.startswith(".") or not stat.S_ISREG(file.stat(follow_symlinks=False).st_mode):
                    continue
                moment_s = file.stat(follow_symlinks=False).st_mtime
                flags = _flags(file.name, keywords) if subfolder == "cur" else frozenset()
                came_at = datetime.fromtimestamp(int(moment_s), UTC)
                # Names begin with the moment of delivery, while the file's own moment is the message's date.
                leading = _LEADING_NUMBER.match(file.name)
                order = int(leading[0]) if leading else int(moment_s)
                here.append((order, file.name, Entry(Path(file.path), mailbox, flags, came_at)))
        found.extend(entry for *_, entry in sorted(here, key=lambda item: item[:2]))
    if not found and not is_maildir(path):
        raise BadImport(f"{path} is not a Maildir: it has no folder 'cur' or 'new'")
    return found


class MaildirNames:
    """Names in one Maildir with its Maildir++ folders: they hold flags, and nothing that came from outside."""

    def __init__(self) -> None:
        self._letters: dict[str, dict[str, str]] = {}
        self._count = 0

    def folder(self, mailbox: str) -> str:
        """Give a mailbox's folder below the Maildir; empty: the Maildir itself, for INBOX."""
        self._letters.setdefault(mailbox, {})
        if mailbox == INBOX:
            return ""
        return "." + ".".join(encode_level(level) for level in mailbox.split(DELIMITER))

    def message(self, mailbox: str, size_octets: int, flags: Flags) -> str:
        """Give the name of one more file; the date is the file's."""
        letters = self._letters[mailbox]
        info = [letter for flag in flags if (letter := _LETTER_OF.get(flag) or self._letter(letters, flag))]
        self._count += 1
        # The count in front keeps the order.
        return f"{self._count}.mailstead,S={size_octets}:2,{''.join(sorted(info))}"

    def keywords(self) -> dict[str, str]:
        """Give the text of the list of keywords of each mailbox that has some."""
        return {
            mailbox: "".join(f"{index} {keyword}\n" for index, keyword in enumerate(letters))
            for mailbox, letters in self._letters.items()
            if letters
        }

    def _letter(self, letters: dict[str, str], keyword: str) -> str:
        """Give a keyword's letter; a Maildir has 26 of them, further keywords are left out."""
        if keyword.startswith("\\"):
            return ""
        if keyword not in letters and len(letters) < _KEYWORDS_MAX:
            letters[keyword] = chr(ord("a") + len(letters))
        return letters.get(keyword, "")


class MaildirWriter:
    """One Maildir with its Maildir++ folders, written anew. Errors of `add`: OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = MaildirNames()

    def open(self, mailbox: str) -> None:
        """Make the folder of a mailbox."""
        folder = self._folder(mailbox)
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        if mailbox != INBOX:
            (folder / MAILDIR_MARK).touch()

    def add(self, mailbox: str, octets: bytes, flags: Flags, internaldate: datetime) -> None:
        """Write one message; its name holds flags and date and nothing that came from outside."""
        moment_s = int(internaldate.timestamp())
        path = self._folder(mailbox) / "cur" / self._names.message(mailbox, len(octets), flags)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
        os.utime(path, (moment_s, moment_s))

    def close(self) -> None:
        """Write the lists of keywords."""
        for mailbox, text in self._names.keywords().items():
            (self._folder(mailbox) / KEYWORDS_FILE).write_text(text, "utf-8")

    def _folder(self, mailbox: str) -> Path:
        folder = self._names.folder(mailbox)
        return self._path / folder if folder else self._path


def encode_level(level: str) -> str:
    """Write one level of a name as a Maildir++ folder has it: modified UTF-7 (RFC 3501 §5.1.3), no dots."""
    out: list[str] = []
    for plain, other in re.findall(r"([\x20-\x25\x27-\x2d\x30-\x7e]+)|([^\x20-\x25\x27-\x2d\x30-\x7e]+)", level):
        if plain:
            out.append(plain)
        elif other == "&":
            out.append("&-")
        else:
            text = base64.b64encode(other.encode("utf-16-be", "surrogatepass")).decode("ascii")
            out.append("&" + text.rstrip("=").replace("/", ",") + "-")
    return "".join(out)


def decode_level(text: str) -> str:
    """Read one level; what is no modified UTF-7 is taken as it stands."""

    def decoded(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        try:
            octets = base64.b64decode(match[1].replace(",", "/") + "=" * (-len(match[1]) % 4), validate=True)
            return octets.decode("utf-16-be")
        except ValueError:
            return match[0]

    return re.sub(r"&([^-]*)-", decoded, text)


def _folders(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield every Maildir at and below a path with its mailbox name; the empty name is the path itself."""
    if _is_one(path):
        yield path, ""
    for item in sorted(_listed(path), key=lambda item: item.name):
        if item.name in _QUIRK_OTHER_FOLDERS or not item.is_dir(follow_symlinks=False):
            continue
        if item.name.startswith(".") and _is_one(Path(item.path)):
            levels = [decode_level(level) for level in item.name[1:].split(".")]
            # A level that is empty or holds our delimiter would change the depth of the name.
            yield Path(item.path), DELIMITER.join(level.replace(DELIMITER, "_") for level in levels if level) or "_"
        elif not item.name.startswith("."):
            for folder, name in _folders(Path(item.path)):
                yield folder, DELIMITER.join(part for part in (item.name, name) if part)


def _is_one(path: Path) -> bool:
    return (path / "cur").is_dir() or (path / "new").is_dir()


def _listed(path: Path) -> Sequence[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BadImport(f"The folder {path} cannot be read: {error.strerror}") from None


def _flags(name: str, keywords: Sequence[str]) -> Flags:
    match = _INFO.search(name)
    flags: set[str] = set()
    for letter in match[1] if match else "":
        if letter in _FLAG_OF:
            flags.add(_FLAG_OF[letter])
        elif letter.islower() and ord(letter) - ord("a") < len(keywords) and keywords[ord(letter) - ord("a")]:
            flags.add(keywords[ord(letter) - ord("a")])
    return frozenset(flags)


def _keywords(folder: Path) -> list[str]:
    """Read the list of keywords; the empty text where a letter has none."""
    found = [""] * _KEYWORDS_MAX
    path = folder / KEYWORDS_FILE
    if path.is_symlink() or not path.is_file():
        return found
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for line in file.read(65536).splitlines():
            number, _, keyword = line.partition(" ")
            if number.isascii() and number.isdigit() and int(number) < _KEYWORDS_MAX and _KEYWORD.fullmatch(keyword):
                found[int(number)] = keyword
    return found
