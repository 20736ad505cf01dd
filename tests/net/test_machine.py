"""What this machine is, and which of its ports are taken."""

import asyncio
import socket
import threading

from mailstead.net.machine import ThisMachine


async def test_the_machine_knows_itself(tmp_path):
    facts = await ThisMachine(tmp_path / "not" / "yet").facts()
    assert facts.architecture
    assert facts.cpu_count >= 1
    assert facts.memory_octets > 64 * 2**20
    assert facts.disk_free_octets > 0


def listening(family=socket.AF_INET, address="127.0.0.1"):
    listener = socket.socket(family)
    listener.bind((address, 0))
    listener.listen()
    return listener


async def test_taken_ports_with_their_greetings(tmp_path):
    greets, silent, ended = listening(), listening(), listening()
    free = ended.getsockname()[1]
    ended.close()

    def greet():
        with greets.accept()[0] as connection:
            connection.sendall(b"220 mail.example.org ESMTP ready\r\n")
            connection.recv(1)

    thread = threading.Thread(target=greet)
    thread.start()
    ports = [greets.getsockname()[1], silent.getsockname()[1], free]
    taken = await ThisMachine(tmp_path).taken_ports(ports)
    assert taken == {ports[0]: "220 mail.example.org ESMTP ready", ports[1]: ""}
    await asyncio.to_thread(thread.join, 5)
    greets.close()
    silent.close()


async def test_a_port_that_is_taken_over_ipv6_only(tmp_path):
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(("::1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    assert await ThisMachine(tmp_path).taken_ports([port]) == {port: ""}
    listener.close()
