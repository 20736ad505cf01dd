"""Certificates: made, judged, replaced under open connections."""

import shutil
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailstead.model.errors import BadSettings
from mailstead.net.certificates import Certificates, make_self_signed, open_certificates
from mailstead.telemetry import metrics


def reloads(result):
    return metrics.CERTIFICATE_RELOADS.labels(result)._value.get()


@pytest.fixture
def own_pair(tmp_path):
    make_self_signed(tmp_path / "certificate.pem", tmp_path / "key.pem", "localhost")
    return tmp_path / "certificate.pem", tmp_path / "key.pem"


def test_self_signed_is_made_once_with_a_private_key_for_the_owner(tmp_path):
    open_certificates("", "", tmp_path, "mail.example.test")
    certificate_file, key_file = tmp_path / "tls" / "certificate.pem", tmp_path / "tls" / "key.pem"
    first = certificate_file.read_bytes()
    certificate = x509.load_pem_x509_certificate(first)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.example.test", "localhost"]
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    assert key_file.stat().st_mode & 0o777 == 0o600
    open_certificates("", "", tmp_path, "mail.example.test")
    assert certificate_file.read_bytes() == first


def test_workers_that_start_at_once_agree_on_one_pair(tmp_path):
    for round_number in range(5):
        folder = tmp_path / str(round_number)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _, folder=folder: open_certificates("", "", folder, "localhost"), range(8)))
        assert len({certificates._seen for certificates in made}) == 1


def test_self_signed_is_renewed_before_it_expires(tmp_path):
    folder = tmp_path / "tls"
    make_self_signed(
        folder / "certificate.pem", folder / "key.pem", "localhost", datetime.now(UTC) - timedelta(days=800)
    )
    old = (folder / "certificate.pem").read_bytes()
    open_certificates("", "", tmp_path, "localhost")
    assert (folder / "certificate.pem").read_bytes() != old


def test_settings_that_cannot_be_meant(tmp_path, own_pair):
    with pytest.raises(BadSettings, match="both"):
        open_certificates(str(own_pair[0]), "", tmp_path, "localhost")
    with pytest.raises(BadSettings, match="leave both empty"):
        open_certificates(str(tmp_path / "none"), str(own_pair[1]), tmp_path, "localhost")


async def test_attack_039_new_pair_serves_new_handshakes_and_drops_no_connection(home, tools, own_pair):
    home.certificates = Certificates(*own_pair)
    port = await home.listen(is_tls_implicit=True)
    old_trust = ssl.create_default_context(cafile=own_pair[0])
    old = await tools.dial(port, tls=old_trust)
    assert not home.certificates.look()
    make_self_signed(*own_pair, "localhost")
    before = reloads("taken")
    assert home.certificates.look()
    assert reloads("taken") == before + 1
    new = await tools.dial(port, tls=ssl.create_default_context(cafile=own_pair[0]))
    assert await new.ask(b"ECHO new") == b"250 new"
    assert await old.ask(b"ECHO old") == b"250 old"
    with pytest.raises(ssl.SSLCertVerificationError):
        await tools.dial(port, tls=old_trust)
    await old.close()
    await new.close()


def break_by_key(certificate_file, key_file):
    key = ec.generate_private_key(ec.SECP256R1())
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def break_by_small_key(certificate_file, key_file):
    key = rsa.generate_private_key(65537, 1024)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def break_by_expiry(certificate_file, key_file):
    make_self_signed(certificate_file, key_file, "localhost", datetime.now(UTC) - timedelta(days=2000))


def break_by_future(certificate_file, key_file):
    make_self_signed(certificate_file, key_file, "localhost", datetime.now(UTC) + timedelta(days=20))


def break_by_cut(certificate_file, key_file):
    certificate_file.write_bytes(certificate_file.read_bytes()[:200])


def break_by_absence(certificate_file, key_file):
    key_file.unlink()


def break_by_emptiness(certificate_file, key_file):
    certificate_file.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        break_by_key,
        break_by_small_key,
        break_by_expiry,
        break_by_future,
        break_by_cut,
        break_by_absence,
        break_by_emptiness,
    ],
)
async def test_attack_039_broken_new_pair_is_refused_and_the_old_one_stays(
    home, tools, own_pair, damage, capfd, tmp_path
):
    trust = ssl.create_default_context(cafile=own_pair[0])
    saved = [shutil.copy(path, tmp_path / f"saved-{path.name}") for path in own_pair]
    home.certificates = Certificates(*own_pair)
    port = await home.listen(is_tls_implicit=True)
    damage(*own_pair)
    before = reloads("refused")
    assert not home.certificates.look()
    assert reloads("refused") == before + 1
    client = await tools.dial(port, tls=trust)
    assert await client.ask(b"ECHO as before") == b"250 as before"
    await client.close()
    if damage is not break_by_absence:  # judged once, not at every look
        assert not home.certificates.look()
        assert reloads("refused") == before + 1
    for path, copy in zip(own_pair, saved, strict=True):  # and a good pair is taken again
        shutil.copy(copy, path)
    assert home.certificates.look()


def test_expired_pair_still_starts(own_pair):
    """At start an expired certificate is better than no service."""
    break_by_expiry(*own_pair)
    assert Certificates(*own_pair).context()
