"""Whoever comes in on the web, in one process: use cases over a fresh store, and a security key of our own."""

import base64
import contextlib
import hashlib
import json
import secrets
from dataclasses import dataclass, field

import cbor2
import pyotp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.policy.failures import Failures
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.audit import Audit
from mailstead.usecases.factor_settings import FactorSettings, MailPrograms
from mailstead.usecases.factors import SecondFactors
from mailstead.usecases.passkeys import Party, Passkeys
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.people import Users
from mailstead.usecases.web_sessions import WebSessions

ALICE = "alice@example.test"
RIGHT, WRONG = Secret("pw-never-in-a-log-alice"), Secret("pw-never-in-a-log-wrong")
NEW = Secret("pw-never-in-a-log-new")
PARTY = Party("mail.example.test", "Example", ("https://mail.example.test",))
PEER = Peer("192.0.2.1", 4711, tls_version="TLSv1.3")
PROGRAM = "Browser/1.0"
STEP_S = 30


@dataclass
class ComingIn:
    """One process's use cases."""

    accounts: Accounts
    users: Users
    audit: Audit
    failures: Failures
    second_factors: SecondFactors
    passkeys: Passkeys
    settings: FactorSettings
    sessions: WebSessions
    clock: object

    async def actor(self, address=ALICE, password=RIGHT):
        """Who has just begun a session with a password alone."""
        return (await self.sessions.start(address, password, PEER, PROGRAM)).actor

    async def turn_on_totp(self, actor, password=RIGHT, mail_programs=MailPrograms.NONE):
        """Give the device, the recovery codes, and the session that goes on."""
        enrolment = await self.settings.enrol_totp(actor, password, "phone")
        device = Device(enrolment.secret, self.clock)
        codes = await self.settings.confirm_totp(actor, enrolment.factor_id, device.code(), mail_programs)
        self.clock.passed_s += STEP_S  # the code that confirmed it is used up
        return device, codes

    async def turn_on_passkey(self, actor, key, password=RIGHT, mail_programs=MailPrograms.NONE):
        """Give the recovery codes."""
        options = await self.settings.begin_passkey(actor, password, mail_programs)
        return await self.settings.add_passkey(actor, key.register(options), "key", mail_programs)


@contextlib.asynccontextmanager
async def open_coming_in(storage, bus, clock, failures=None):
    async def sleep(seconds):
        del seconds

    failures = failures or Failures()
    passwords = Passwords(clock, HashCost(1, 8))
    audit = Audit(storage, clock)
    second_factors = SecondFactors(storage, clock, failures)
    accounts = Accounts(
        storage,
        bus,
        clock,
        passwords=passwords,
        failures=failures,
        decoy_key=b"decoy",
        scram_iteration_count=4096,
        sleep=sleep,
        audit=audit,
        second_factors=second_factors,
    )
    users = Users(storage, accounts, passwords, clock, audit, factors=second_factors)
    passkeys = Passkeys(storage, clock, b"passkeys" * 4, PARTY)
    settings = FactorSettings(storage, clock, users, second_factors, passkeys, audit, issuer="mail.example.test")
    sessions = WebSessions(storage, clock, accounts, users, second_factors, passkeys, audit, b"sessions" * 4)
    yield ComingIn(accounts, users, audit, failures, second_factors, passkeys, settings, sessions, clock)
    await sessions.close()
    await users.close()
    await accounts.close()
    await audit.close()


@dataclass
class Device:
    """A telephone that makes codes."""

    secret: Secret
    clock: object

    def code(self, steps=0):
        """The code of the present step, or of one `steps` later."""
        totp = pyotp.TOTP(self.secret.reveal())
        return Secret(totp.at(int(self.clock.now().timestamp()) + steps * STEP_S))


@dataclass
class SecurityKey:
    """An authenticator with one key per registration (ES256), for tests. It can be told to misbehave.

    Spec: W3C Web Authentication Level 3, §6.1 (authenticator data), §6.5.1 (attested credential data).
    """

    origin: str = PARTY.origins[0]
    rp_id: str = PARTY.rp_id
    is_verifying: bool = True
    counter: int = 0
    is_in_frame: bool = False
    keys: dict = field(default_factory=dict)

    def register(self, options):
        asked = json.loads(options)
        private = ec.generate_private_key(ec.SECP256R1())
        credential_id = secrets.token_bytes(16)
        self.keys[credential_id] = (private, _octets(asked["user"]["id"]))
        point = private.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
        attested = bytes(16) + len(credential_id).to_bytes(2, "big") + credential_id + cose
        data = self._data(0x40) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": _text(self._client_data("webauthn.create", asked["challenge"])),
            "attestationObject": _text(attestation),
        }
        return self._answer(credential_id, response)

    def sign(self, options, *, with_handle=True):
        asked = json.loads(options)
        allowed = [_octets(each["id"]) for each in asked.get("allowCredentials", [])]
        credential_id = next(each for each in self.keys if not allowed or each in allowed)
        private, handle = self.keys[credential_id]
        data = self._data(0)
        client_data = self._client_data("webauthn.get", asked["challenge"])
        signature = private.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": _text(client_data),
            "authenticatorData": _text(data),
            "signature": _text(signature),
            "userHandle": _text(handle) if with_handle else None,
        }
        return self._answer(credential_id, response)

    def _data(self, flags):
        flags |= 0x01 | (0x04 if self.is_verifying else 0)
        self.counter += 1
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _client_data(self, kind, challenge):
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.is_in_frame}
        return json.dumps(said).encode()

    def _answer(self, credential_id, response):
        encoded = _text(credential_id)
        return json.dumps({"id": encoded, "rawId": encoded, "type": "public-key", "response": response})


def _text(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
