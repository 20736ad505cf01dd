"""The pipeline of policy, on whole messages through the front door: what is refused, put off, junk, or let in, and why."""

from dataclasses import replace

import pytest

from mailauth.zones import UNAVAILABLE
from mailstead.config.settings import Authentication, Policy, Settings
from mailstead.mailauth import arc, dkim
from mailstead.mailauth.dkim import public_record
from mailstead.model.address import Address
from mailstead.model.authentication import ArcResult, Result
from mailstead.model.errors import BadSettings, Deferred, Greylisted, MailsteadError, PolicyRefused
from mailstead.model.verdict import Check, Decision
from mailstead.services.smtp.errors import reply_to
from mailstead.usecases.sender_lists import ALLOWED, DENIED
from usecases.flow import ADMIN, ANN, EVE, NOW, PEER, message, open_flow

_, SEALER = dkim.new_keys("list.example", NOW, "s")
_, SIGNER = dkim.new_keys("signed.test", NOW, "s")
_, OURS = dkim.new_keys("example.test", NOW, "o")
ZONES = {
    "strict.test": {"TXT": ["v=spf1 -all"]},
    "_dmarc.strict.test": {"TXT": ["v=DMARC1; p=reject"]},
    "_dmarc.quarantine.test": {"TXT": ["v=DMARC1; p=quarantine"]},
    "hard.test": {"TXT": ["v=spf1 -all"]},
    "trouble.test": {"TXT": UNAVAILABLE},
    "_dmarc.trouble.test": {"TXT": UNAVAILABLE},
    "signed.test": {"TXT": UNAVAILABLE},
    "_dmarc.signed.test": {"TXT": ["v=DMARC1; p=reject"]},
    **{
        f"{key.selector}._domainkey.{key.domain}": {"TXT": [public_record(key)]}
        for key in (SEALER, SIGNER, OURS)
    },
}  # fmt: skip


def house(folder, *, zones=None, authentication=None, **policy):
    settings = Settings(policy=Policy(**policy), authentication=Authentication(**(authentication or {})))
    return open_flow(folder, zones={**ZONES, **(zones or {})}, settings=settings)


@pytest.fixture
async def flow(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def outcome(flow, *to, **how):
    """Where alice's copy of a message ends, or the reply that the sender gets."""
    before = {mailbox: len(await flow.stored("alice", mailbox)) for mailbox in ("INBOX", "Junk")}
    try:
        await flow.receive(*(to or ("alice",)), **how)
    except MailsteadError as error:
        answer = reply_to(error)
        return f"{answer.code} {answer.enhanced}"
    [mailbox] = [mailbox for mailbox, count in before.items() if len(await flow.stored("alice", mailbox)) > count]
    return mailbox


def of(sender, **more):
    """A message whose author and sender are the same."""
    return {"octets": message(sender, **more), "mail_from": Address.parse(str(sender))}


# authentication


@pytest.mark.parametrize(
    ("sender", "wanted"),
    [
        (ANN, "INBOX"),
        (EVE, "INBOX"),
        ("x@strict.test", "550 5.7.26"),
        ("x@sub.strict.test", "550 5.7.26"),
        ("x@quarantine.test", "Junk"),
        ("x@hard.test", "INBOX"),
        ("x@trouble.test", "451 4.4.3"),
    ],
    ids=str,
)
async def test_what_the_author_s_domain_asks_for_is_done(flow, sender, wanted):
    assert await outcome(flow, **of(sender)) == wanted


async def test_the_author_counts_whoever_the_envelope_names(flow):
    assert await outcome(flow, octets=message("x@strict.test"), mail_from=ANN) == "550 5.7.26"
    assert await outcome(flow, octets=message("x@strict.test"), mail_from=None) == "550 5.7.26"


async def test_an_administrator_may_choose_to_suspect_rather_than_refuse(tmp_path):
    async with house(tmp_path, authentication={"refuses_by_policy": False}) as flow:
        assert await outcome(flow, **of("x@strict.test")) == "Junk"


async def test_an_administrator_may_choose_to_refuse_a_fail_of_spf(tmp_path):
    async with house(tmp_path, authentication={"refuses_hard_fail": True}) as flow:
        assert await outcome(flow, **of("x@hard.test")) == "550 5.7.23"


async def test_a_signature_makes_up_for_a_dns_that_does_not_answer(flow):
    octets = message("x@signed.test")
    assert await outcome(flow, octets=octets, mail_from=Address("x", "signed.test")) == "451 4.4.3"
    signed = dkim.sign(octets, [dkim.load_key(SIGNER)], NOW) + octets
    assert await outcome(flow, octets=signed, mail_from=Address("x", "signed.test")) == "INBOX"


@pytest.mark.parametrize(("sealers", "wanted"), [((), "550 5.7.26"), (("list.example",), "INBOX")])
@pytest.mark.parametrize("seen", ["pass", "fail"])
async def test_a_trusted_list_vouches_for_what_it_has_seen_pass(tmp_path, sealers, wanted, seen):
    octets = message("x@strict.test")
    results = f"dmarc={seen} header.from=strict.test"
    sealed = arc.seal(octets, dkim.load_key(SEALER), "mx.list.example", results, ArcResult(Result.NONE), NOW) + octets
    async with house(tmp_path, authentication={"trusted_sealers": sealers}) as flow:
        found = await outcome(flow, octets=sealed, mail_from=Address("bounces", "list.example"))
        assert found == (wanted if seen == "pass" else "550 5.7.26")


# our own domains (row 16)


@pytest.mark.parametrize(
    "author", ["alice@example.test", "nobody@EXAMPLE.test", "ceo@sub.example.test", "x@a.b.example.test"]
)
@pytest.mark.parametrize("mail_from", [ANN, None, Address("alice", "example.test")], ids=str)
async def test_attack_016_our_own_domain_from_outside_is_junk(flow, author, mail_from):
    assert await outcome(flow, octets=message(author), mail_from=mail_from) == "Junk"


async def test_attack_016_even_if_the_domain_asks_for_nothing(tmp_path):
    zones = {"_dmarc.example.test": {"TXT": ["v=DMARC1; p=none"]}, "example.test": {"TXT": ["v=spf1 ~all"]}}
    async with house(tmp_path, zones=zones) as flow:
        assert await outcome(flow, octets=message("alice@example.test"), mail_from=ANN) == "Junk"


async def test_attack_016_what_is_shown_to_be_ours_is_let_in(tmp_path):
    spf = {"example.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}, "_dmarc.example.test": {"TXT": ["v=DMARC1; p=none"]}}
    octets = message("alice@example.test")
    signed = dkim.sign(octets, [dkim.load_key(OURS)], NOW) + octets
    async with house(tmp_path, zones=spf) as flow:
        assert await outcome(flow, **of("alice@example.test")) == "INBOX"
        assert await outcome(flow, octets=signed, mail_from=None) == "INBOX"
        tampered = signed.replace(b"Subject: hello", b"Subject: hullo")
        assert await outcome(flow, octets=tampered, mail_from=None) == "Junk"


async def test_attack_016_an_allow_list_may_let_a_service_of_ours_in(tmp_path):
    async with house(tmp_path, allowlist=("192.0.2.0/24",)) as flow:
        assert await outcome(flow, octets=message("alice@example.test"), mail_from=ANN) == "INBOX"
        stranger = replace(PEER, address="198.51.100.7")
        assert await outcome(flow, octets=message("alice@example.test"), mail_from=EVE, peer=stranger) == "Junk"


async def test_attack_016_a_submission_of_our_own_is_not_suspected(flow):
    await flow.submit("alice", name="bob")
    assert len(await flow.stored("alice")) == 1


# lists


@pytest.mark.parametrize(
    "entry", [str(EVE), "stranger.test", "*.test", "192.0.2.1", "192.0.2.0/24", "x.stranger.test"], ids=str
)
async def test_who_is_on_the_server_s_deny_list_is_refused(tmp_path, entry):
    async with house(tmp_path, denylist=(entry,)) as flow:
        found = await outcome(flow, **of(EVE))
        assert found == ("INBOX" if entry == "x.stranger.test" else "550 5.7.1")


async def test_a_deny_list_looks_at_sender_and_author(tmp_path):
    async with house(tmp_path, denylist=("stranger.test",)) as flow:
        assert await outcome(flow, octets=message(EVE), mail_from=ANN) == "550 5.7.1"
        assert await outcome(flow, octets=message(ANN), mail_from=EVE) == "550 5.7.1"
        assert await outcome(flow, **of(ANN)) == "INBOX"


async def test_a_domain_has_lists_of_its_own(flow):
    await flow.terms(denylist=("stranger.test",), allowlist=("192.0.2.1",))
    assert await outcome(flow, **of(EVE)) == "550 5.7.1"
    assert await outcome(flow, **of(ANN)) == "INBOX"
    await flow.house.domains.add(ADMIN, "second.test")
    with pytest.raises(MailsteadError) as caught:  # the list is about recipients in example.test
        await flow.receive("x@second.test", mail_from=EVE)
    assert not isinstance(caught.value, PolicyRefused)


async def test_an_account_has_lists_of_its_own(flow):
    lists = flow.house.sender_lists
    await lists.add(await flow.actor("alice"), DENIED, ["stranger.test"])
    assert await outcome(flow, **of(EVE)) == "550 5.7.1"
    # with another recipient who takes it, SMTP's one answer is yes: here it is junk
    assert await outcome(flow, "alice", "bob", **of(EVE)) == "Junk"
    assert len(await flow.stored("bob")) == 1
    await lists.remove(await flow.actor("alice"), DENIED, ["stranger.test"])
    assert await outcome(flow, **of(EVE)) == "INBOX"


async def test_an_account_s_allow_list_spares_from_junk_by_score(tmp_path):
    async with house(tmp_path, junk_score=1.0) as flow:
        assert await outcome(flow, **of(EVE)) == "Junk"
        await flow.house.sender_lists.add(await flow.actor("alice"), ALLOWED, [str(EVE)])
        assert await outcome(flow, **of(EVE)) == "INBOX"


async def test_no_allow_list_lets_forgers_in(tmp_path):
    async with house(tmp_path, allowlist=("strict.test", "hard.test", "quarantine.test"), junk_score=3.0) as flow:
        assert await outcome(flow, **of("x@strict.test")) == "550 5.7.26"
        assert await outcome(flow, **of("x@quarantine.test")) == "Junk"
        assert await outcome(flow, **of("x@hard.test")) == "Junk"


async def test_a_deny_list_comes_before_an_allow_list(tmp_path):
    async with house(tmp_path, allowlist=("192.0.2.1",), denylist=("stranger.test",)) as flow:
        assert await outcome(flow, **of(EVE)) == "550 5.7.1"


async def test_an_entry_that_is_none_is_told_at_the_start(tmp_path):
    with pytest.raises(BadSettings):
        async with house(tmp_path, denylist=("not an entry",)):
            pass


# greylisting


async def test_strangers_come_again_and_are_known_then(tmp_path):
    async with house(tmp_path, greylists=True) as flow:
        assert await outcome(flow, **of(ANN)) == "INBOX"
        assert await outcome(flow, **of(EVE)) == "450 4.7.1"
        flow.clock.advance(seconds=299)
        with pytest.raises(Greylisted, match="in 1 seconds"):
            await flow.receive("alice", **of(EVE))
        flow.clock.advance(seconds=1)
        neighbour = replace(PEER, address="192.0.2.200")
        assert await outcome(flow, **of("other@stranger.test"), peer=neighbour) == "450 4.7.1"
        assert await outcome(flow, **of("other@stranger.test")) == "INBOX"
        assert await outcome(flow, **of("x@elsewhere.test")) == "450 4.7.1"
        flow.clock.advance(days=31)
        assert await outcome(flow, **of(EVE)) == "450 4.7.1"


async def test_allow_lists_spare_greylisting(tmp_path):
    async with house(tmp_path, greylists=True, allowlist=("stranger.test",)) as flow:
        assert await outcome(flow, **of(EVE)) == "INBOX"


# attachments, rates


def attached(name):
    return {
        "header": 'Content-Type: multipart/mixed; boundary="b"\r\n',
        "body": f'--b\r\n\r\nHi\r\n--b\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\nx\r\n--b--\r\n',
    }


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("a.txt", "INBOX"), ("a.exe", "550 5.7.1"), ("A.EXE", "550 5.7.1"), ("a.pdf.scr", "550 5.7.1"), ("exe", "INBOX")],
)
async def test_attachments_that_run_are_refused(flow, name, wanted):
    assert await outcome(flow, **of(ANN, **attached(name))) == wanted


async def test_a_domain_may_refuse_more_attachments(flow):
    assert await outcome(flow, **of(ANN, **attached("a.docm"))) == "INBOX"
    await flow.terms(refused_extensions=("docm",))
    assert await outcome(flow, **of(ANN, **attached("a.docm"))) == "550 5.7.1"
    assert await outcome(flow, **of(ANN, **attached("a.exe"))) == "550 5.7.1"


async def test_a_network_may_bring_so_much_in_an_hour(tmp_path):
    async with house(tmp_path, messages_per_sender_hour_max=2, allowlist=("203.0.113.1",)) as flow:
        assert [await outcome(flow) for _ in range(3)] == ["INBOX", "INBOX", "451 4.7.1"]
        other = replace(PEER, address="198.51.100.1")
        assert await outcome(flow, **of(EVE), peer=other) == "INBOX"
        allowed, local = replace(PEER, address="203.0.113.1"), replace(PEER, address="127.0.0.1")
        for peer in (allowed, local):
            assert [await outcome(flow, **of(EVE), peer=peer) for _ in range(4)] == ["INBOX"] * 4
        flow.clock.advance(hours=2)
        assert await outcome(flow) == "INBOX"


async def test_a_mailbox_takes_so_much_in_an_hour(tmp_path):
    async with house(tmp_path, messages_per_recipient_hour_max=2) as flow:
        peers = [replace(PEER, address=f"198.51.{number}.1") for number in range(3)]
        assert [await outcome(flow, **of(EVE), peer=peer) for peer in peers] == ["INBOX", "INBOX", "451 4.7.1"]
        await flow.receive("bob")


# lists in the DNS


BLOCKED = {"1.2.0.192.block.test": {"A": ["127.0.0.2"]}, "1.2.0.192.allow.test": {"A": ["127.0.0.5"]}}


@pytest.mark.parametrize(
    ("lists", "zones", "wanted"),
    [
        ({"dns_blocklists": ("block.test",)}, BLOCKED, "550 5.7.1"),
        ({"dns_blocklists": ("block.test=5.5",)}, BLOCKED, "Junk"),
        ({"dns_blocklists": ("block.test=1.5",)}, BLOCKED, "INBOX"),
        ({"dns_blocklists": ("block.test",)}, {}, "INBOX"),
        ({"dns_blocklists": ("block.test",)}, {"1.2.0.192.block.test": UNAVAILABLE}, "INBOX"),
        ({"dns_blocklists": ("block.test",)}, {"1.2.0.192.block.test": {"A": ["127.255.255.254"]}}, "INBOX"),
        ({"dns_blocklists": ("block.test",)}, {"1.2.0.192.block.test": {"A": ["93.184.216.34"]}}, "INBOX"),
        ({"dns_blocklists": ("block.test",), "dns_allowlists": ("allow.test",)}, BLOCKED, "INBOX"),
        ({"dns_blocklists": ("block.test",), "allowlist": ("192.0.2.1",)}, BLOCKED, "INBOX"),
    ],
)  # fmt: skip
async def test_lists_in_the_dns_are_asked(tmp_path, lists, zones, wanted):
    async with house(tmp_path, zones=zones, **lists) as flow:
        assert await outcome(flow) == wanted


async def test_lists_in_the_dns_know_ipv6(tmp_path):
    name = ".".join(reversed("20010db8000000000000000000000001"))
    async with house(
        tmp_path, zones={f"{name}.block.test": {"A": ["127.0.0.2"]}}, dns_blocklists=("block.test",)
    ) as flow:
        assert await outcome(flow, **of(EVE), peer=replace(PEER, address="2001:db8::1")) == "550 5.7.1"
        assert await outcome(flow, **of(EVE), peer=replace(PEER, address="2001:db8::2")) == "INBOX"


async def test_no_list_is_asked_unless_set(flow):
    await flow.receive("alice")
    reversed_names = [name for name, _ in flow.smtp.zones.questions if name.startswith("1.2.0.192.")]
    assert set(reversed_names) == {"1.2.0.192.in-addr.arpa"}


# scanners and scores


class Finding:
    """A scanner outside that always finds the same."""

    def __init__(self, check):
        self.check = check
        self.count = 0

    async def scan(self, message):
        self.count += 1
        return self.check


VIRUS = Check("clamav", Decision.REFUSE, reason="Eicar", public_text="The message has a virus")


async def test_an_allow_list_does_not_let_viruses_in(tmp_path):
    async with house(tmp_path, allowlist=("192.0.2.1",)) as flow:
        flow.smtp.receptions.screening._scanners = (Finding(VIRUS),)
        assert await outcome(flow) == "550 5.7.1"


async def test_scores_of_all_checks_are_added(tmp_path):
    async with house(tmp_path) as flow:
        for score, wanted in ((3.9, "INBOX"), (4.0, "Junk"), (13.9, "Junk"), (14.0, "550 5.7.1")):
            flow.smtp.receptions.screening._scanners = (Finding(Check("rspamd", score=score, reason="looks odd")),)
            assert await outcome(flow, **of(EVE)) == wanted  # a sender whom nothing vouches for has 1.0 already


async def test_a_scanner_that_does_not_answer_may_make_mail_wait(flow):
    waits = Check("clamav", Decision.DEFER, reason="no answer", public_text="Not now")
    flow.smtp.receptions.screening._scanners = (Finding(waits),)
    with pytest.raises(Deferred, match="Not now"):
        await flow.receive("alice")


async def test_what_is_refused_anyway_is_not_scanned(tmp_path):
    async with house(tmp_path, denylist=("stranger.test",)) as flow:
        scanner = Finding(VIRUS)
        flow.smtp.receptions.screening._scanners = (scanner,)
        await outcome(flow, **of(EVE))
        assert scanner.count == 0


async def test_the_answer_gives_the_reason_and_no_setting(tmp_path):
    async with house(tmp_path, denylist=("stranger.test",)) as flow:
        with pytest.raises(PolicyRefused) as refused:
            await flow.receive("alice", **of(EVE))
        assert refused.value.public_text == "Sender is refused here"
