import pytest

from mailstead.policy.failures import (
    FREE_COUNT,
    REFUSED_MAX_S,
    SLOWED_MAX_S,
    Failures,
    Judgement,
    LocalCounts,
    network_of,
)

HOME, ALICE = "192.0.2.1", "alice@example.test"


def test_networks():
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("no address") == "no address"


def test_a_few_mistakes_cost_nothing():
    failures = Failures()
    for _ in range(4):
        failures.failed(HOME, ALICE, 0)
    assert failures.judge(HOME, ALICE, 0) == Judgement()


def test_the_delay_of_a_pair_grows_and_ends():
    failures, now_s, waits = Failures(), 0.0, []
    for _ in range(20):
        failures.failed(HOME, ALICE, now_s)
        refused_s = failures.judge(HOME, ALICE, now_s).refused_s
        waits.append(refused_s)
        now_s += refused_s
        assert failures.judge(HOME, ALICE, now_s).refused_s == 0
    assert waits[:7] == [0, 0, 0, 0, 1, 2, 4]
    assert max(waits) == REFUSED_MAX_S


def test_failures_are_forgotten_after_quiet_time():
    failures = Failures(forgotten_s=600)
    for _ in range(30):
        failures.failed(HOME, ALICE, 0)
    assert failures.judge(HOME, ALICE, 1).refused_s > 0
    assert failures.judge(HOME, ALICE, 601) == Judgement()


def test_attack_061_one_account_from_a_thousand_addresses():
    """Strangers become slow; the owner gets in, from home without any wait."""
    failures = Failures()
    failures.succeeded(HOME, ALICE, 0)
    for number in range(1000):
        failures.failed(f"198.51.{number // 250}.{number % 250}", ALICE, 1)
    assert failures.judge("203.0.113.9", ALICE, 2) == Judgement(slowed_s=SLOWED_MAX_S)
    assert failures.judge(HOME, ALICE, 2) == Judgement()


def test_attack_061_a_thousand_accounts_from_one_address():
    failures, guessed, now_s = Failures(), 0, 0.0
    for number in range(1000):
        now_s += 0.1
        if not failures.judge(HOME, f"user{number}@example.test", now_s).refused_s:
            guessed += 1
            failures.failed(HOME, f"user{number}@example.test", now_s)
    assert guessed <= FREE_COUNT + 7
    # from the same /64 in IPv6 too
    for number in range(50):
        failures.failed(f"2001:db8::{number:x}", f"user{number}@example.test", 0)
    assert failures.judge("2001:db8::ffff", ALICE, 1).refused_s > 0


def test_attack_061_success_resets_only_its_own():
    """Somebody with an account of his own gains nothing for others by logging in between guesses."""
    failures, now_s = Failures(), 0.0
    for number in range(30):
        failures.failed(HOME, f"user{number}@example.test", now_s)
        failures.succeeded(HOME, "mallory@example.test", now_s)
    assert failures.judge(HOME, ALICE, now_s).refused_s > 0
    assert failures.judge(HOME, "mallory@example.test", now_s) == Judgement()


def test_success_forgets_the_failures_of_its_pair():
    failures = Failures()
    for _ in range(6):
        failures.failed(HOME, ALICE, 0)
    failures.succeeded(HOME, ALICE.upper(), 0)
    assert failures.judge(HOME, ALICE, 0) == Judgement()


def test_memory_is_bounded():
    counts = LocalCounts(entries_max=100)
    failures = Failures(counts=counts)
    for number in range(1000):
        failures.failed(f"2001:db8:{number:x}::1", "x" * 10_000 + str(number), 0)
        failures.succeeded(f"2001:db8:{number:x}::1", str(number), 0)
    assert all(len(kept) <= 100 for kept in counts._kinds.values())


@pytest.mark.parametrize("account", [ALICE, "nobody@example.test", "", "\0"])
def test_names_are_counted_whether_they_exist_or_not(account):
    failures = Failures()
    for _ in range(5):
        failures.failed(HOME, account, 0)
    assert failures.judge(HOME, account, 0).refused_s == 1
