"""Doors that are not there cannot be broken: what is not offered is refused, also when it is asked for."""


async def test_attack_054_urlauth_is_not_offered(home):
    """Spec: RFC 4467 is not implemented, so there are no tokens to replay."""
    client = await home.imap("alice", select=True)
    capabilities = (await client.imap("CAPABILITY"))[0].split()
    assert not {"URLAUTH", "URLAUTH=BINARY", "URL-PARTIAL", "CATENATE"} & set(capabilities)
    for command in (
        'GENURLAUTH "imap://alice@localhost/INBOX/;UID=1;URLAUTH=anonymous" INTERNAL',
        'URLFETCH "imap://alice@localhost/INBOX/;UID=1;URLAUTH=anonymous:internal:0"',
        "RESETKEY",
    ):
        assert " BAD " in (await client.imap(command))[-1]
    assert "OK" in (await client.imap("NOOP"))[-1]


async def test_attack_057_no_port_and_no_verb_keeps_a_script(home):
    """ManageSieve comes with Sieve; until then nothing stores or runs what a client sends as a script."""
    assert not [name for name in home.ports if "sieve" in name]
    client = await home.imap("alice", select=True)
    assert " BAD " in (await client.imap("PUTSCRIPT x {1+}\r\nx"))[-1]
