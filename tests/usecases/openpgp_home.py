"""Alice's account with all that webmail needs for OpenPGP, on the real store, and Bob, who is far away."""

from dataclasses import replace

from mailstead.model.secret import Secret
from mailstead.usecases import openpgp_engine as engine
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.openpgp_keys import OpenpgpKeys
from mailstead.usecases.passwords import HashCost
from mailstead.usecases.staging import Staging
from mailstead.usecases.web_keys import WebKeys

PASSPHRASE = Secret("pp-never-in-a-log")
COST = HashCost(1, 8)


class Directory:
    """What other domains publish; nothing else of the web is there."""

    def __init__(self):
        self.pages = {}
        self.asked = []

    async def get(self, url, **_limits):
        from mailstead.model.errors import WebFailed
        from mailstead.ports.web import WebResponse

        self.asked.append(url)
        if url not in self.pages:
            raise WebFailed
        return WebResponse(200, {}, self.pages[url])


def make_mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


def make_keys(storage, mailboxes, clock, web=None):
    return OpenpgpKeys(storage, mailboxes, web, WebKeys(storage, clock), COST)


def in_session(actor, session="s1"):
    return replace(actor, session_id=session)


def make_bob(user_id="Bob <bob@else.test>"):
    return engine.unlocked(engine.make_secret(user_id), "")
