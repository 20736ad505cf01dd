"""Proofs: what they are, and that only they are shown."""

import hashlib
import ssl
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailstead.net.acme.challenges import (
    AlpnProver,
    ChallengeFiles,
    HttpProver,
    alpn_pair,
    dns_value,
    key_authorization,
)
from mailstead.net.acme.problems import AcmeFailed
from net.acme.authority import NOW

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
AUTHORIZATION = key_authorization(TOKEN, "nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ")


@pytest.fixture
def files(tmp_path):
    return ChallengeFiles(tmp_path / "challenges")


def test_token_and_key_together_and_their_digest():
    assert f"{TOKEN}.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ" == AUTHORIZATION
    assert dns_value("a") == "ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs"


async def test_a_token_is_shown_while_its_proof_is_up(files):
    prover = HttpProver(files)
    assert files.http_answer(TOKEN) is None
    await prover.prove("mail.test", TOKEN, AUTHORIZATION)
    assert files.http_answer(TOKEN) == AUTHORIZATION
    await prover.clear("mail.test", TOKEN, AUTHORIZATION)
    assert files.http_answer(TOKEN) is None
    await prover.clear("mail.test", TOKEN, AUTHORIZATION)


@pytest.mark.parametrize(
    "token", ["", "short", "../../account-key", "a" * 16 + "/../x", "a" * 200, "a" * 16 + "\n", "ä" * 20]
)
async def test_what_is_no_token_becomes_no_file_name(files, tmp_path, token):
    (tmp_path / "account-key.txt").write_text("secret")
    assert files.http_answer(token) is None
    with pytest.raises(AcmeFailed):
        await HttpProver(files).prove("mail.test", token, AUTHORIZATION)
    files.remove_token(token)
    assert (tmp_path / "account-key.txt").exists()


def test_the_certificate_of_tls_alpn_01():
    """RFC 8737 §3: one name, and the digest in a critical extension of the id that it registers."""
    certificate = x509.load_pem_x509_certificate(alpn_pair("mail.test", AUTHORIZATION, NOW))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("mail.test")]
    proof = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert proof.critical
    assert proof.value.public_bytes() == b"\x04\x20" + hashlib.sha256(AUTHORIZATION.encode()).digest()
    certificate.verify_directly_issued_by(certificate)


def shaken(server, name, protocols=("acme-tls/1",)):
    """Do a handshake in memory; give what the client sees."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (client, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.selected_alpn_protocol(), x509.load_der_x509_certificate(client.getpeercert(binary_form=True))


async def test_the_name_that_is_asked_for_decides_which_certificate_is_shown(files, tmp_path):
    prover = AlpnProver(files)
    for name in ("one.test", "two.test"):
        await prover.prove(name, TOKEN, AUTHORIZATION)
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "challenges").iterdir()} == {0o600}
    for name in ("one.test", "two.test", "TWO.test"):
        protocol, certificate = shaken(files.alpn_context(), name)
        assert protocol == "acme-tls/1"
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert list(names) == [x509.DNSName(name.lower())]
    await prover.clear("one.test", TOKEN, AUTHORIZATION)
    with pytest.raises(ssl.SSLError):
        shaken(files.alpn_context(), "one.test")


@pytest.mark.parametrize("name", ["other.test", None, "..", "x" * 63 + ".test"])
async def test_names_without_a_proof_get_no_handshake(files, name):
    await AlpnProver(files).prove("one.test", TOKEN, AUTHORIZATION)
    with pytest.raises((ssl.SSLError, ValueError)):
        shaken(files.alpn_context(), name)


async def test_a_wildcard_cannot_be_proven_by_a_certificate(files):
    with pytest.raises(AcmeFailed, match="tls-alpn-01"):
        await AlpnProver(files).prove("*.test", TOKEN, AUTHORIZATION)
    files.remove_pair("*.test")


def test_pairs_can_be_loaded(tmp_path):
    file = tmp_path / "pair.pem"
    file.write_bytes(alpn_pair("mail.test", AUTHORIZATION, NOW))
    assert serialization.load_pem_private_key(file.read_bytes(), None).curve.name == "secp256r1"
