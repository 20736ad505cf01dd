"""The client's side of TLS, in memory, against the server's side of ours."""

import ssl

import pytest
from cryptography import x509

from mailstead.net.outbound.tls import ClientTls, encrypting_context, verifying_context
from mailstead.net.tls import TlsFailed, TlsLayer


def shaken(client, server):
    to_server = client.hello()
    for _ in range(10):
        server.receive(memoryview(to_server))
        client.receive(memoryview(server.take_output()))
        to_server = client.take_output()
        if not to_server:
            break
    return client


def sides(context, server_context, name):
    scratch = memoryview(bytearray(65536))
    return ClientTls(context, scratch, name), TlsLayer(server_context, scratch)


def test_the_chain_is_what_the_server_has_shown_its_own_certificate_first(authority):
    """`_sslobj.get_unverified_chain` is private before Python 3.13: this test tells when it is no longer there."""
    context, _ = authority.server("mx.test")
    client = shaken(*sides(encrypting_context(), context, "other.test"))
    assert client.is_ready
    leaf, issuer = map(x509.load_der_x509_certificate, client.chain)
    assert leaf.subject.rfc4514_string() == "CN=mx.test"
    assert issuer == authority.certificate
    assert client.chain[0] == client._object.getpeercert(binary_form=True)


def test_a_verifying_client_takes_the_right_name_of_a_believed_authority(authority):
    context, _ = authority.server("mx.test", "127.0.0.1")
    for name in ("mx.test", "127.0.0.1"):
        assert shaken(*sides(verifying_context(str(authority.file)), context, name)).is_ready


@pytest.mark.parametrize(("name", "days", "code"), [("other.test", 30, 62), ("mx.test", -1, 10)])
def test_a_verifying_client_says_what_is_wrong(authority, name, days, code):
    context, _ = authority.server("mx.test", days=days)
    with pytest.raises(TlsFailed) as failed:
        shaken(*sides(verifying_context(str(authority.file)), context, name))
    assert failed.value.verify_code == code


def test_without_a_file_the_authorities_of_the_system_are_believed(authority):
    context, _ = authority.server("mx.test")
    with pytest.raises(TlsFailed) as failed:
        shaken(*sides(verifying_context(""), context, "mx.test"))
    assert failed.value.verify_code in {19, 20, 21}


@pytest.mark.parametrize("make", [encrypting_context, lambda: verifying_context("")])
def test_nothing_older_than_tls_1_2_is_spoken(make):
    assert make().minimum_version == ssl.TLSVersion.TLSv1_2
