"""Which lines open a firewall for what is served, and for nothing else.

Whoever has the rights runs them; each line does no harm when it is run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

KINDS: Final = ("ufw", "nftables")
TABLE: Final = "mailstead"


def lines(kind: str, ports: Sequence[int], ssh_port: int) -> list[str]:
    """Give shell lines for one of `KINDS`: TCP `ports` and `ssh_port` are let in, the rest of what comes in is not."""
    if kind == "ufw":
        return _ufw(ports, ssh_port)
    return _nftables(ports, ssh_port)


def _ufw(ports: Sequence[int], ssh_port: int) -> list[str]:
    # The way in of whoever runs this is opened before anything is closed.
    opened = [f"ufw allow {ssh_port}/tcp comment ssh"]
    opened += [f"ufw allow {port}/tcp comment mailstead" for port in ports if port != ssh_port]
    return [*opened, "ufw default deny incoming", "ufw default allow outgoing", "ufw --force enable"]


def _nftables(ports: Sequence[int], ssh_port: int) -> list[str]:
    """A table of our own: what others have set up is neither read nor changed, and a second run replaces it whole.

    A packet must pass all tables, so this one may only narrow what others let in. IPv6 cannot work without its ICMP
    (RFC 4890 §4.4), nor a bridge's name resolution without what comes from its own interfaces.
    """
    listed = ", ".join(map(str, sorted({ssh_port, *ports})))
    rules = [
        "type filter hook input priority filter; policy drop;",
        "ct state established,related accept",
        "ct state invalid drop",
        'iifname { "lo", "docker0" } accept',
        'iifname "br-*" accept',
        "meta l4proto { icmp, ipv6-icmp } accept",
        "udp sport 67 udp dport 68 accept",
        "udp dport 546 ip6 saddr fe80::/10 accept",
        f"tcp dport {{ {listed} }} accept",
    ]
    body = "\n".join(f"    {rule}" for rule in rules)
    text = f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n  chain input {{\n{body}\n  }}\n}}"
    file = f"/etc/nftables.d/{TABLE}.nft"
    include = f'include "{file}"'
    return [
        "mkdir -p /etc/nftables.d",
        f"cat >{file} <<'END'\n{text}\nEND",
        f"nft -f {file}",
        # Read again at boot, by the distribution's own service.
        f"grep -qxF '{include}' /etc/nftables.conf 2>/dev/null || echo '{include}' >>/etc/nftables.conf",
        "systemctl enable nftables >/dev/null 2>&1 || true",
    ]
