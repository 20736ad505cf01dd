"""Profiles signed with the house's certificate, as other programs see it."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from mailstead.net.certificates import make_self_signed
from mailstead.net.profile_signing import ProfileSigner

PROFILE = b"<?xml version='1.0'?>\n<plist>\r\n\x00\xff</plist>\n"


def certificate(name, key, issuer, issuer_key, *, is_ca=False, is_over=False):
    now = datetime.now(UTC)
    end = now + timedelta(days=-1 if is_over else 1)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
    return (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


@pytest.fixture
def pair(tmp_path):
    """Give files of a leaf, an intermediate and its root; `make` makes them anew."""
    root_key, middle_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate("Root", root_key, "Root", root_key, is_ca=True)
    middle = certificate("Middle", middle_key, "Root", root_key, is_ca=True)
    (tmp_path / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def make(key, *, is_over=False):
        leaf = certificate("mx.example.test", key, "Middle", middle_key, is_over=is_over)
        pem = [each.public_bytes(serialization.Encoding.PEM) for each in (leaf, middle)]
        (tmp_path / "certificate.pem").write_bytes(b"".join(pem))
        form = serialization.PrivateFormat.PKCS8
        key_pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        (tmp_path / "key.pem").write_bytes(key_pem)
        return ProfileSigner(tmp_path / "certificate.pem", tmp_path / "key.pem")

    return make


@pytest.mark.skipif(not shutil.which("openssl"), reason="missing: openssl; run `make setup-tools` as root")
@pytest.mark.parametrize("kind", ["ec", "rsa"])
async def test_openssl_verifies_the_signature_and_gives_the_very_octets(pair, tmp_path, kind):
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    signed = await pair(key).sign(PROFILE)
    (tmp_path / "signed").write_bytes(signed)
    words = ["openssl", "cms", "-verify", "-inform", "DER", "-in", str(tmp_path / "signed"), "-binary"]
    words += ["-CAfile", str(tmp_path / "root.pem"), "-purpose", "any", "-out", str(tmp_path / "out")]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "successful" in found.stderr.lower(), found.stderr
    assert (tmp_path / "out").read_bytes() == PROFILE
    (tmp_path / "signed").write_bytes(signed.replace(b"plist", b"tsilp"))
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0


async def test_a_signature_that_says_nothing_is_left_out(pair, tmp_path):
    make_self_signed(tmp_path / "certificate.pem", tmp_path / "key.pem", "mx.example.test")
    signer = ProfileSigner(tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert await signer.sign(PROFILE) is None
    assert await pair(ec.generate_private_key(ec.SECP256R1()), is_over=True).sign(PROFILE) is None
    assert await pair(ed25519.Ed25519PrivateKey.generate()).sign(PROFILE) is None


async def test_a_renewed_pair_is_used_and_a_broken_one_is_no_accident(pair, tmp_path):
    signer = pair(ec.generate_private_key(ec.SECP256R1()))
    assert await signer.sign(PROFILE)
    pair(rsa.generate_private_key(65537, 2048))
    assert await signer.sign(PROFILE)
    (tmp_path / "key.pem").write_bytes(b"nonsense")
    assert await signer.sign(PROFILE) is None
    (tmp_path / "certificate.pem").unlink()
    assert await signer.sign(PROFILE) is None
