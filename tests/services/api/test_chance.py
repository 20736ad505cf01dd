"""Odd values for every field, name and parameter of every endpoint, by chance: clear refusals, and never a bug."""

import random
import re
from urllib.parse import quote

import pytest

from mailstead.services.api.endpoints import Auth
from mailstead.services.api.table import all_endpoints
from services.api.asking import asking
from services.api.test_rights import OFFLINE

CALLS = 300
WORDS = (
    "", "a", "0" * 24, "example.test", "alice@example.test", "*", "/x/", "é", "%", "\u202e", "x" * 300, "-1", "9" * 30, "true",
    "null", "INBOX", "a/b", "..", "\\", "2026-01-01", "0000-00-00T00:00:00Z", "\x00", "a\r\nb",
)  # fmt: skip
NOT_HERE = re.compile(
    "^/v1/(doctor|dns|backups|second-factors|password|users|tokens|sessions|account/api-token)|doctor|dns|verify|s3"
)
"""What asks the network or the machine, and what would end the log-ins of the calls that follow."""
ENDPOINTS = [each for each in all_endpoints() if not NOT_HERE.search(each.path) and each.name != "delete-domain"]


def odd(chance):
    word = chance.choice(WORDS)
    return chance.choice(
        [word, word, None, True, 1, -1, 2**70, 1.5, [], [word], {}, {"a": word}, [{}], [[word]], {word: {word: [word]}}]
    )


def call_by(chance):
    """Give method, path, body and who asks."""
    endpoint = chance.choice(ENDPOINTS)

    def name(found):
        return "example.test" if found[1] == "domain_id" and chance.random() < 0.7 else quote(chance.choice(WORDS), "")

    path = re.sub(r"{(\w+)}", name, endpoint.path)
    fields = sorted(endpoint.query.model_fields) if endpoint.query is not None else []
    asked = chance.sample(fields, min(len(fields), chance.randint(0, 3)))
    if asked:
        path += "?" + "&".join(f"{field}={quote(chance.choice(WORDS))}" for field in asked)
    body = None
    if endpoint.body is not None:
        body = {field: odd(chance) for field in endpoint.body.model_fields if chance.random() < 0.6}
    users = ["server admin", "domain admin", "member"]
    by = {Auth.ALIAS: ["alice@example.test"], Auth.TOKEN: users}.get(endpoint.auth, [*users, "alice@example.test"])
    return endpoint.method, path, body, chance.choice(by)


@pytest.mark.parametrize("seed", [1, 2])
async def test_odd_values_make_no_bug(tmp_path, seed):
    chance = random.Random(seed)
    async with asking(tmp_path, people=("alice",), dns=OFFLINE) as api:
        statuses = set()
        for _ in range(CALLS):
            method, path, body, by = call_by(chance)
            answer = await api.ask(method, path, body, by=by)
            statuses.add(answer.status)
            assert answer.status < 500 or answer.status == 503, (method, path, body, by, answer.body)
        assert statuses >= {200, 400, 403, 404}
