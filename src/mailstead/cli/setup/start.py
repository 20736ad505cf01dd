"""The stage between: what belongs to the machine, where there is no Docker. Only for root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from mailstead.cli.errors import UNAVAILABLE
from mailstead.cli.setup.options import Options
from mailstead.cli.setup.questions import Questions
from mailstead.cli.systemd import machine_errors
from mailstead.cli.terminal import Terminal


def start(terminal: Terminal, questions: Questions, options: Options, file: Path) -> None:
    """Open the firewall, if that is wanted; start the service; look for updates each night, if that is wanted."""
    from mailstead.config.load import load
    from mailstead.wiring.systemd import Systemd

    with machine_errors(terminal):
        machine = Systemd(settings_file=file)
        settings = load(file, {}).settings
        machine.prepare(settings.server.hostname)
        machine.install_units()
    open_firewall(terminal, questions, options, file)
    with machine_errors(terminal):
        machine.start_service()
        terminal.remark("The service runs, and starts with the machine")
        if settings.backup.target and machine.place.home and questions.confirm("Look for updates each night?"):
            machine.enable_updates()


def open_firewall(terminal: Terminal, questions: Questions, options: Options, file: Path) -> None:
    """Ask, and run the lines of `mailstead firewall` for what the machine has."""
    from mailstead.config.load import load
    from mailstead.policy.firewall import lines
    from mailstead.wiring.machine_checks import served_ports

    kind = "ufw" if shutil.which("ufw") else "nftables" if shutil.which("nft") else ""
    if not kind:
        terminal.remark("There is no firewall here (ufw or nftables): what listens can be reached")
        return
    ports = served_ports(load(file, {}).settings)
    shown = ", ".join(map(str, ports))
    if not questions.confirm(f"Let {kind} refuse all but ssh ({options.ssh_port}) and {shown}?"):
        return
    for line in lines(kind, ports, options.ssh_port):
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)  # noqa: S603  # ours
        if done.returncode:
            terminal.fail(UNAVAILABLE, f"`{line}` ended with {done.returncode}: {done.stderr.strip()}", kind="Firewall")
    terminal.remark(f"{kind} lets in {options.ssh_port}, {shown}")


def as_service(file: Path, words: list[str], typed: str | None = None) -> int:
    """Run a command as the service's user, or files would be root's; give its exit code. `typed`: what it reads."""
    from mailstead.wiring.systemd import USER, this_place

    program = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--", str(this_place().program)]
    line = [*program, "--config", str(file), *words]
    environ = {"HOME": "/", "PATH": "/usr/bin:/bin", "TERM": os.environ.get("TERM", "dumb")}
    return subprocess.run(line, check=False, env=environ, input=typed, text=True).returncode  # noqa: S603  # ours
