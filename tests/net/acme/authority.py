"""An authority in memory: checks signatures and nonces as RFC 8555 asks, and signs what it is told to."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID

from mailstead.model.errors import WebFailed
from mailstead.ports.web import WebResponse

BASE = "https://authority.test"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
LIFE = timedelta(days=90)


class StillClock:
    def __init__(self, now=NOW):
        self.time = now

    def now(self):
        return self.time

    def monotonic_s(self):
        return 0.0


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def problem(kind, detail="no", status=403, **more):
    document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, **more}
    return WebResponse(status, {}, json.dumps(document).encode())


class FakeAuthority:
    """Implements `WebClient`. `looks(name, token)` says what proves a name here; None: nothing does."""

    def __init__(self, looks=lambda name, token: None, now=NOW):
        self.looks = looks
        self.now = now
        self.nonces = set()
        self.nonce_count = 0
        self.bad_nonces = 0
        self.answers = {}
        """Path → answer instead of the right one."""
        self.accounts = {}
        self.contacts = []
        self.asked = []
        self.names = []
        self.statuses = {}
        self.offered = ("http-01", "tls-alpn-01", "dns-01")
        self.retry_after = None
        self.is_down = False
        self.life = LIFE
        self.names_signed = None
        self.signer = ec.generate_private_key(ec.SECP256R1())
        self.key_signed = None
        self.chain = b""

    async def get(self, url, *, octets_max=65536, limit_s=30.0):
        if self.is_down:
            raise WebFailed("The web server authority.test does not answer in time")
        path = url.removeprefix(BASE)
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        if path == "/directory":
            urls = {"newNonce": f"{BASE}/nonce", "newAccount": f"{BASE}/account", "newOrder": f"{BASE}/order"}
            return WebResponse(200, {}, json.dumps(urls).encode())
        assert path == "/nonce"
        return WebResponse(204, {"replay-nonce": self.new_nonce()})

    def new_nonce(self):
        self.nonce_count += 1
        nonce = f"nonce-{self.nonce_count}"
        self.nonces.add(nonce)
        return nonce

    async def post(self, url, octets, headers, *, octets_max=65536, limit_s=30.0, verifies=True):
        assert dict(headers)["Content-Type"] == "application/jose+json"
        assert verifies
        path = url.removeprefix(BASE)
        answer = self.answer(path, url, json.loads(octets))
        self.asked.append(path)
        return WebResponse(answer.status, {**answer.headers, "replay-nonce": self.new_nonce()}, answer.octets)

    def answer(self, path, url, body):
        protected = json.loads(unbase64(body["protected"]))
        assert protected["alg"] == "ES256"
        assert protected["url"] == url
        if protected["nonce"] not in self.nonces or self.bad_nonces:
            self.bad_nonces = max(0, self.bad_nonces - 1)
            self.nonces.discard(protected["nonce"])
            return problem("badNonce", status=400)
        self.nonces.discard(protected["nonce"])
        assert ("jwk" in protected) == (path == "/account")
        self.jwk = protected["jwk"] if "jwk" in protected else self.accounts[protected["kid"]]
        point = ec.EllipticCurvePublicNumbers(
            int.from_bytes(unbase64(self.jwk["x"])), int.from_bytes(unbase64(self.jwk["y"])), ec.SECP256R1()
        )
        raw = unbase64(body["signature"])
        assert len(raw) == 64
        signature = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        signed = f"{body['protected']}.{body['payload']}".encode()
        point.public_key().verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        if path in self.answers:
            return self.answers[path]
        payload = json.loads(unbase64(body["payload"])) if body["payload"] else None
        _, verb, *rest = path.split("/")
        return getattr(self, "at_" + verb.replace("-", "_"))(payload, *rest)

    def ok(self, document, status=200, **headers):
        return WebResponse(status, headers, json.dumps(document).encode())

    def at_account(self, payload):
        url = f"{BASE}/account-of/1"
        assert payload["termsOfServiceAgreed"] is True
        is_known = self.accounts.get(url) == self.jwk
        self.accounts[url] = self.jwk
        if not is_known:
            self.contacts = payload.get("contact", [])
        return self.ok({"status": "valid", "contact": self.contacts}, 200 if is_known else 201, location=url)

    def at_account_of(self, payload, _):
        self.contacts = payload.get("contact", [])
        return self.ok({"status": "valid"})

    def at_order_of(self, payload, _):
        assert payload is None
        return self.ok(self.order())

    def at_order(self, payload):
        assert all(each["type"] == "dns" for each in payload["identifiers"])
        self.names = [each["value"] for each in payload["identifiers"]]
        self.statuses = dict.fromkeys(range(len(self.names)), "pending")
        self.is_finalized = False
        return self.ok(self.order(), 201, location=f"{BASE}/order-of/1")

    def order(self):
        urls = [f"{BASE}/authorization/{number}" for number in self.statuses]
        status = "pending"
        if "invalid" in self.statuses.values():
            status = "invalid"
        elif set(self.statuses.values()) == {"valid"}:
            status = "ready"
        if self.is_finalized:
            status = "valid"
        found = {"status": status, "authorizations": urls, "finalize": f"{BASE}/finalize/1"}
        if status == "valid":
            found["certificate"] = f"{BASE}/certificate/1"
        return found

    def at_authorization(self, payload, number):
        assert payload is None
        number = int(number)
        name = self.names[number].removeprefix("*.")
        challenges = [
            {"type": kind, "url": f"{BASE}/challenge/{number}", "token": token_of(number)} for kind in self.offered
        ]
        if self.statuses[number] == "invalid":
            challenges[0]["error"] = {
                "type": "urn:ietf:params:acme:error:connection",
                "detail": f"{name}: Connection refused",
            }
        headers = {"retry-after": self.retry_after} if self.retry_after else {}
        found = {
            "status": self.statuses[number],
            "identifier": {"type": "dns", "value": name},
            "challenges": challenges,
        }
        return self.ok(found, **headers)

    def at_challenge(self, payload, number):
        assert payload == {}
        number = int(number)
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":")).encode()
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
        expected = f"{token_of(number)}.{thumbprint}"
        is_proven = self.looks(self.names[number].removeprefix("*."), token_of(number)) == expected
        self.statuses[number] = "valid" if is_proven else "invalid"
        return self.ok({"status": "processing"})

    def at_finalize(self, payload, _):
        request = x509.load_der_x509_csr(unbase64(payload["csr"]))
        assert request.is_signature_valid
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert sorted(names.get_values_for_type(x509.DNSName)) == sorted(self.names)
        self.chain = self.signed(request.public_key(), self.names_signed or self.names)
        self.is_finalized = True
        return self.ok({**self.order(), "status": "processing"})

    def signed(self, public_key, names):
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority in memory")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer)
            .public_key(self.key_signed or public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now)
            .not_valid_after(self.now + self.life)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
            .sign(self.signer, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def at_certificate(self, payload, _):
        assert payload is None
        return WebResponse(200, {}, self.chain)


def token_of(number):
    return f"token-of-authorization-{number}"
