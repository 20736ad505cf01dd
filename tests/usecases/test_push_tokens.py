import asyncio

import pytest

from mailstead.model.address import Address
from mailstead.model.errors import LimitReached, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.usecases.push_tokens import TOKEN_OCTETS_MAX, TOKENS_MAX, PushTokens

DAY_S = 86400


@pytest.fixture
def tokens(storage, clock):
    return PushTokens(storage, clock)


@pytest.fixture
async def account_id(accounts, admin):
    account = await accounts.create(admin, Address("alice", "example.test"), Secret("correct horse battery"))
    return account.account_id


async def test_a_token_is_valid_for_ninety_days_after_it_was_set_last(tokens, account_id, clock):
    await tokens.add(account_id, b"one")
    clock.passed_s += 80 * DAY_S
    await tokens.add(account_id, b"two")
    assert await tokens.valid(account_id) == [b"one", b"two"]
    clock.passed_s += 11 * DAY_S
    assert await tokens.valid(account_id) == [b"two"]
    await tokens.add(account_id, b"two")
    clock.passed_s += 90 * DAY_S
    assert await tokens.valid(account_id) == [b"two"]


async def test_what_has_run_out_goes_at_the_next_writing(tokens, account_id, clock, storage):
    await tokens.add(account_id, b"one")
    clock.passed_s += 91 * DAY_S
    await tokens.add(account_id, b"two")
    (value,) = (await storage.accounts.of(account_id).preferences()).values()
    assert value.endswith(b" two")


async def test_a_token_of_a_day_to_come_is_not_valid(tokens, account_id, clock):
    clock.passed_s += 30 * DAY_S
    await tokens.add(account_id, b"one")
    clock.passed_s -= 30 * DAY_S
    assert await tokens.valid(account_id) == []
    await tokens.add(account_id, b"one")
    assert await tokens.valid(account_id) == [b"one"]


async def test_setting_it_again_on_the_same_day_writes_nothing(tokens, account_id, storage, monkeypatch):
    await tokens.add(account_id, b"one")

    async def fail(*_):
        raise AssertionError

    monkeypatch.setattr(type(storage.accounts.of(account_id)), "set_preferences", fail)
    await tokens.add(account_id, b"one")


async def test_clients_that_register_at_once_lose_nothing(tokens, account_id):
    await asyncio.gather(*(tokens.add(account_id, b"%d" % number) for number in range(10)))
    assert len(await tokens.valid(account_id)) == 10


async def test_of_too_many_the_oldest_go(tokens, account_id, clock):
    for number in range(TOKENS_MAX + 2):
        clock.passed_s += DAY_S
        await tokens.add(account_id, b"%d" % number)
    assert await tokens.valid(account_id) == [b"%d" % number for number in range(2, TOKENS_MAX + 2)]


async def test_a_removed_token_is_gone_and_other_preferences_stay(tokens, account_id, storage):
    store = storage.accounts.of(account_id)
    await store.set_preferences({"other": b"x"})
    await tokens.add(account_id, b"one")
    await tokens.remove(account_id, b"one")
    await tokens.remove(account_id, b"never there")
    assert await tokens.valid(account_id) == []
    assert await store.preferences() == {"other": b"x"}


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (b"", PolicyRefused),
        (b"a b", PolicyRefused),
        (b"a\nb", PolicyRefused),
        (b"\x7f", PolicyRefused),
        (b"x" * (TOKEN_OCTETS_MAX + 1), LimitReached),
    ],
)
async def test_what_is_no_token_is_refused(tokens, account_id, token, error):
    with pytest.raises(error):
        await tokens.add(account_id, token)


async def test_any_octets_but_spaces_and_controls_are_a_token(tokens, account_id):
    token = b"webpush:https://push.example.test/x|key|auth" + bytes(range(33, 127)) + bytes(range(128, 256))
    await tokens.add(account_id, token)
    assert await tokens.valid(account_id) == [token]
