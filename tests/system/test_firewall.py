"""The lines for nftables, run in a network of their own, with a stranger at the other end of a wire."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mailstead.policy import firewall

pytestmark = pytest.mark.full

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
OPEN, SHUT, SSH = 2525, 2526, 2222

SCRIPT = """
mount --bind "$etc" /etc
mount -t tmpfs none /run
ip link set lo up
ip netns add stranger
ip link add house type veth peer name wire netns stranger
ip addr add 192.0.2.1/24 dev house
ip -6 addr add 2001:db8::1/64 dev house nodad
ip link set house up
ip -n stranger addr add 192.0.2.2/24 dev wire
ip -n stranger -6 addr add 2001:db8::2/64 dev wire nodad
ip -n stranger link set wire up
"$python" -c '
import socket, sys, threading
for port in map(int, sys.argv[1:]):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=lambda it=listener: [it.accept()[0].sendall(b"here") for _ in range(99)]).start()
print("ready", flush=True)
' $ports >ready 2>listeners.log &
listeners=$!
trap 'kill -9 $listeners' EXIT
until grep -q ready ready; do sleep 0.05; done # another process says it in a file
try() {
    ip netns exec stranger "$python" -c '
import socket, sys
try:
    print(sys.argv[1], sys.argv[2], socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).recv(9).decode())
except OSError as error:
    print(sys.argv[1], sys.argv[2], type(error).__name__)
' "$1" "$2"
}
round() { for port in $ports; do try 192.0.2.1 $port; try 2001:db8::1 $port; done; }
echo before; round
sh -e lines; sh -e lines
echo after; round
nft flush ruleset
nft -f /etc/nftables.conf
echo booted; round
"""


def test_strangers_reach_what_is_served_and_nothing_else(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("networks of their own need root")
    if not shutil.which("nft", path=PATH):
        pytest.skip("missing: nftables; run `make setup-tools` as root")
    shutil.copytree("/etc", tmp_path / "etc", symlinks=True, ignore_dangling_symlinks=True)
    (tmp_path / "etc" / "nftables.conf").write_text("#!/usr/sbin/nft -f\nflush ruleset\n")
    (tmp_path / "lines").write_text("\n".join(firewall.lines("nftables", (OPEN,), SSH)) + "\n")
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-ec", SCRIPT],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={"PATH": PATH, "etc": str(tmp_path / "etc"), "python": shutil.which("python3") or "", "ports": f"{OPEN} {SHUT} {SSH}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    _, before, after, booted = re.split(r"before\n|after\n|booted\n", done.stdout)
    hosts = ("192.0.2.1", "2001:db8::1")
    assert before.splitlines() == [f"{host} {port} here" for port in (OPEN, SHUT, SSH) for host in hosts]
    wanted = [
        f"{host} {port} {'TimeoutError' if port == SHUT else 'here'}" for port in (OPEN, SHUT, SSH) for host in hosts
    ]
    assert after.splitlines() == wanted
    assert booted.splitlines() == wanted, "what is read at boot is the same"
    assert Path("/etc/nftables.d").exists() is False, "nothing of the machine was changed"
