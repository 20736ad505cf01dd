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
