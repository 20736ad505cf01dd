"""OpenPGP in webmail."""

from __future__ import annotations

from mailstead.usecases.openpgp_keys import OpenpgpKeys
from mailstead.usecases.openpgp_mail import OpenpgpMail
from mailstead.usecases.passwords import HashCost
from mailstead.usecases.web_keys import WebKeys
from mailstead.wiring.house import House


def make_openpgp(house: House) -> OpenpgpMail:
    """Give it, with its keys; what a session has unlocked is in this object alone."""
    limits = house.settings.limits
    cost = HashCost(limits.password_hash_iterations, limits.password_hash_memory_mib * 1024)
    keys = OpenpgpKeys(house.storage, house.mailboxes, house.web, WebKeys(house.storage, house.clock), cost)
    return OpenpgpMail(keys, house.mailboxes, house.shown_messages)
