"""Install the foreign clients and servers that tests and benchmarks drive: Debian packages and npm packages.

Needs root for Debian's packages. What cannot be installed is named; the tests that need it skip with that reason, and
CI counts such a skip as a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".test-tools"

DEBIAN = {
    "mbsync": "isync",
    "offlineimap": "offlineimap3",
    "curl": "curl",
    "fetchmail": "fetchmail",
    "mpop": "mpop",
    "swaks": "swaks",
    "sieve-connect": "sieve-connect",
    "msmtp": "msmtp",
    "node": "nodejs",
    "npm": "npm",
    "doveadm": "dovecot-core",
    "postconf": "postfix",
    "rspamd": "rspamd",
    "clamd": "clamav-daemon",
    "knotd": "knot",
    "unbound": "unbound",
    "policyd-spf": "postfix-policyd-spf-python",
    "opendkim": "opendkim",
    "opendmarc": "opendmarc",
    "ip": "iproute2",
    "faketime": "faketime",
    "turnserver": "coturn",
    "pebble": "pebble",
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "iptables": "iptables",
    "nft": "nftables",
    "systemd-analyze": "systemd",
    "mmdebstrap": "mmdebstrap",
    "litmus": "litmus",
    "cadaver": "cadaver",
    "vdirsyncer": "vdirsyncer",
    "khal": "khal",
    "khard": "khard",
    "todoman": "todoman",
    "radicale": "radicale",
    "xandikos": "xandikos",
    "syncevolution": "syncevolution",
    "dbus-run-session": "dbus-daemon",
    "chromium": "chromium",
    "chromium-headless-shell": "chromium-headless-shell",
    "gpg": "gpg",
    "openssl": "openssl",
}
"""Command → Debian package."""

MORE_DEBIAN = {
    "/usr/lib/dovecot/imap": "dovecot-imapd",
    "/usr/lib/dovecot/lmtp": "dovecot-lmtpd",
    "/usr/lib/dovecot/pop3": "dovecot-pop3d",
    "/usr/lib/python3/dist-packages/authres": "python3-authres",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg": "ubuntu-keyring",
    "/usr/libexec/evolution-calendar-factory": "evolution-data-server",
    "/usr/share/doc/gir1.2-ecal-2.0": "gir1.2-ecal-2.0",
    "/usr/share/doc/gir1.2-ebook-1.2": "gir1.2-ebook-1.2",
    "/usr/lib/python3/dist-packages/gi": "python3-gi",
    "/usr/bin/docker": "docker-cli",
    "/usr/libexec/docker/cli-plugins/docker-buildx": "docker-buildx",
    "/usr/libexec/docker/cli-plugins/docker-compose": "docker-compose",
}

FOR_BENCHMARKS = {
    "/usr/bin/php": "php-cli",
    "/usr/bin/php-cgi": "php-cgi",  # else Debian brings Apache along
    "/usr/share/roundcube/index.php": "roundcube-core",
    "/usr/share/dbconfig-common/data/roundcube/install/sqlite3": "roundcube-sqlite3",
}
"""With `--bench` alone: no test needs them."""

LOCK_WAIT = ("-o", "DPkg::Lock::Timeout=550")
"""Somebody else may be installing at the moment."""

FROM_NEXT_DEBIAN = ("docker.io", "docker-cli", "docker-compose", "docker-buildx")
"""Debian 12 has no Compose of our time, and these four of Debian 13 ask for nothing that Debian 12 does not have."""

UNPACKED_DEBIAN = {
    "exim": ("exim4-daemon-light", "exim4-base", "libdb5.3", "libgnutls-dane0", "libidn12", "libnsl2"),
}
"""Folder → Debian packages that are unpacked there: Debian installs one mail server at a time, and that is Postfix."""


def debian_missing() -> list[str]:
    found = {package for command, package in DEBIAN.items() if not shutil.which(command, path=path_with_sbin())}
    more = MORE_DEBIAN | (FOR_BENCHMARKS if "--bench" in sys.argv else {})
    return sorted(found | {package for file, package in more.items() if not Path(file).exists()})


def path_with_sbin() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def pin_next_debian() -> None:
    """Let Debian 12 take those packages, and only those, from Debian 13. Elsewhere the system's own will do."""
    own, apt = Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt")
    if not own.exists() or "bookworm" not in own.read_text():
        return
    first = own.read_text().strip().partition("\n\n")[0]
    source = re.sub(r"(?m)^Suites:.*$", "Suites: trixie", first) + "\n"
    pins = "".join(
        f"Package: {packages}\nPin: release n=trixie\nPin-Priority: {priority}\n\n"
        for packages, priority in (("*", 50), (" ".join(FROM_NEXT_DEBIAN), 990))
    )
    # The pins first: without them an upgrade in between would take everything from there.
    for file, text in ((apt / "preferences.d" / "next", pins), (apt / "sources.list.d" / "next.sources", source)):
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def install_debian(packages: list[str]) -> None:
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"setup-tools: not root or no apt-get; missing: {' '.join(packages)}", file=sys.stderr)
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print(f"setup-tools: installing {' '.join(packages)}")
    if set(packages) & set(FROM_NEXT_DEBIAN):
        pin_next_debian()
    subprocess.run(["apt-get", "update", "-qq"], env=env, check=False)
    done = subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *LOCK_WAIT, *packages],
        env=env,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    if done.returncode:
        print("setup-tools: apt-get could not install them all", file=sys.stderr)


def unpack_debian() -> None:
    """Unpack what cannot be installed beside the rest; a failure is said and leaves nothing half done."""
    for name, packages in UNPACKED_DEBIAN.items():
        if (TOOLS / name).exists():
            continue
        if not shutil.which("apt-get"):
            print(f"setup-tools: no apt-get; {name} is missing", file=sys.stderr)
            continue
        TOOLS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
            try:
                subprocess.run(
                    ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *packages], cwd=folder, check=True
                )
                for package in sorted(Path(folder).glob("*.deb")):
                    subprocess.run(["dpkg-deb", "-x", package.name, "root"], cwd=folder, check=True)
            except subprocess.CalledProcessError:
                print(f"setup-tools: {name} could not be fetched", file=sys.stderr)
                continue
            (Path(folder) / "root").rename(TOOLS / name)


def install_npm() -> None:
    npm = shutil.which("npm")
    if not npm:
        print(
            "setup-tools: no npm; the packages of tools/npm are missing",
            file=sys.stderr,
        )
        return
    TOOLS.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        source = ROOT / "tools" / "npm" / name
        if source.read_bytes() != ((TOOLS / name).read_bytes() if (TOOLS / name).exists() else b""):
            shutil.copy(source, TOOLS / name)
            shutil.rmtree(TOOLS / "node_modules", ignore_errors=True)
    if not (TOOLS / "node_modules" / "tsdav").exists():
        done = subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=TOOLS, check=False)
        if done.returncode:
            print(
                "setup-tools: npm could not install the packages of tools/npm",
                file=sys.stderr,
            )


def install_apart(name: str) -> None:
    """Give programs of PyPI a virtual environment of their own, as they bring many packages along."""
    place, pins = TOOLS / name, ROOT / "constraints" / f"{name}.txt"
    stamp = place / "pins.txt"
    if stamp.exists() and stamp.read_bytes() == pins.read_bytes():
        return
    TOOLS.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    done = subprocess.run(
        [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--require-hashes", "-r", str(pins)], check=False,
    )  # fmt: skip
    if done.returncode:
        print(f"setup-tools: {name} could not be installed", file=sys.stderr)
        return
    shutil.copy(pins, stamp)


def main() -> None:
    install_debian(debian_missing())
    unpack_debian()
    install_apart("moto")  # its S3 server
    install_apart("api-clients")  # clients of the APIs that ours is compatible with
    install_apart("schemathesis")  # its HTTP library and that of caldav stand in each other's way
    install_npm()
    left = debian_missing()
    print(f"setup-tools: {'all there' if not left else 'still missing: ' + ' '.join(left)}")


if __name__ == "__main__":
    main()
