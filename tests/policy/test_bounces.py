"""Remote answers, row by row: what real servers say, and what it means."""

import pytest

from mailstead.model.queue import RemoteReply
from mailstead.policy.bounces import CODES, GENERAL, PRECISE, TEXTS, Category, Remedy, classify

C, R = Category, Remedy

# code, enhanced code, text, category, remedy
ANSWERS = [
    # Recipients
    (550, "5.1.1", "The email account that you tried to reach does not exist.", C.RECIPIENT_UNKNOWN, R.SUPPRESS),
    (
        550,
        "5.1.1",
        "<x@y>: Recipient address rejected: User unknown in local recipient table",
        C.RECIPIENT_UNKNOWN,
        R.SUPPRESS,
    ),
    (550, "", "Unrouteable address", C.RECIPIENT_UNKNOWN, R.SUPPRESS),
    (550, "", "Requested action not taken: mailbox unavailable", C.RECIPIENT_UNKNOWN, R.SUPPRESS),
    (511, "", "sorry, no mailbox here by that name (#5.1.1 - chkuser)", C.RECIPIENT_UNKNOWN, R.SUPPRESS),
    (550, "", "sorry, no mailbox here by that name. (#5.1.1)", C.RECIPIENT_UNKNOWN, R.SUPPRESS),
    (
        554,
        "",
        "delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0]",
        C.RECIPIENT_UNKNOWN,
        R.SUPPRESS,
    ),
    (550, "5.4.1", "Recipient address rejected: Access denied. AS(201806281)", C.RECIPIENT_UNKNOWN, R.SUPPRESS),
    (550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; not found", C.RECIPIENT_UNKNOWN, R.GIVE_UP),
    (550, "", "No such user", C.RECIPIENT_UNKNOWN, R.SUPPRESS),
    (450, "4.1.1", "<x@y>: Recipient address rejected: unverified address", C.RECIPIENT_UNKNOWN, R.DEFER),
    (550, "5.2.1", "The email account that you tried to reach is disabled.", C.RECIPIENT_DISABLED, R.SUPPRESS),
    (
        554,
        "",
        "30 Sorry, your message cannot be delivered. This mailbox is disabled (554.30).",
        C.RECIPIENT_DISABLED,
        R.SUPPRESS,
    ),
    (550, "", "Account inactive", C.RECIPIENT_DISABLED, R.SUPPRESS),
    (452, "4.2.2", "The recipient's inbox is out of storage space.", C.MAILBOX_FULL, R.DEFER),
    (552, "5.2.2", "Over quota", C.MAILBOX_FULL, R.GIVE_UP),
    (554, "", "mailbox is full", C.MAILBOX_FULL, R.GIVE_UP),
    # What we send
    (
        550,
        "5.7.1",
        "[192.0.2.1] Our system has detected that this message is likely unsolicited mail.",
        C.SPAM,
        R.GIVE_UP,
    ),
    (554, "5.7.1", "Spam message rejected", C.SPAM, R.GIVE_UP),
    (
        552,
        "5.7.0",
        "This message was blocked because its content presents a potential security issue.",
        C.VIRUS,
        R.GIVE_UP,
    ),
    (550, "", "This message contains malware (Eicar-Signature)", C.VIRUS, R.GIVE_UP),
    (552, "5.3.4", "Message size exceeds fixed limit", C.SIZE, R.GIVE_UP),
    (552, "", "message too large", C.SIZE, R.GIVE_UP),
    # Who we are
    (
        554,
        "5.7.1",
        "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        C.BLOCKLIST,
        R.GIVE_UP,
    ),
    (550, "5.7.1", "part of their network is on our block list (S3140).", C.BLOCKLIST, R.GIVE_UP),
    (550, "5.7.606", "Access denied, banned sending IP [192.0.2.1].", C.BLOCKLIST, R.GIVE_UP),
    (550, "5.7.649", "Access denied", C.BLOCKLIST, R.GIVE_UP),
    (553, "5.7.1", "[BL21] Connections will not be accepted from 192.0.2.1", C.BLOCKLIST, R.GIVE_UP),
    (
        421,
        "",
        "Client host blocked using Barracuda Reputation, http://www.barracudacentral.org",
        C.BLOCKLIST,
        R.SLOW_DOWN,
    ),
    (550, "5.7.26", "This mail has been blocked because the sender is unauthenticated.", C.DMARC, R.GIVE_UP),
    (550, "5.7.1", "Unauthenticated email from x is not accepted due to domain's DMARC policy.", C.DMARC, R.GIVE_UP),
    (550, "5.7.509", "Access denied, sending domain x does not pass DMARC verification", C.DMARC, R.GIVE_UP),
    (550, "", "SPF check failed", C.DMARC, R.GIVE_UP),
    (
        421,
        "4.7.0",
        "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
        C.RATE,
        R.SLOW_DOWN,
    ),
    (421, "4.7.28", "Gmail has detected an unusual rate of mail", C.RATE, R.SLOW_DOWN),
    (
        450,
        "4.2.1",
        "The user you are trying to contact is receiving mail at a rate that prevents additional messages",
        C.RATE,
        R.SLOW_DOWN,
    ),
    (
        451,
        "4.7.650",
        "The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.",
        C.RATE,
        R.SLOW_DOWN,
    ),
    (450, "4.2.0", "<x@y>: Recipient address rejected: Greylisted for 5 minutes", C.RATE, R.SLOW_DOWN),
    (421, "", "Too many connections from your host", C.RATE, R.SLOW_DOWN),
    (552, "", "Too many recipients", C.RATE, R.SLOW_DOWN),
    (550, "5.7.28", "too much", C.RATE, R.GIVE_UP),
    (554, "5.7.1", "<x@y>: Relay access denied", C.RELAY_DENIED, R.GIVE_UP),
    (550, "5.7.54", "SMTP; Unable to relay recipient in non-accepted domain", C.RELAY_DENIED, R.GIVE_UP),
    (553, "", "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", C.RELAY_DENIED, R.GIVE_UP),
    (554, "5.7.9", "Message not accepted for policy reasons.", C.POLICY, R.GIVE_UP),
    (554, "", "Transaction failed. Reject due to policy restrictions.", C.POLICY, R.GIVE_UP),
    (550, "5.7.25", "The IP address sending this message does not have a PTR record", C.POLICY, R.GIVE_UP),
    (451, "4.7.1", "Come back another day", C.POLICY, R.DEFER),
    # The way
    (451, "4.3.0", "queue file write error", C.CAPACITY, R.SLOW_DOWN),
    (452, "4.3.1", "Insufficient system storage", C.CAPACITY, R.SLOW_DOWN),
    (452, "", "try later", C.CAPACITY, R.SLOW_DOWN),
    (421, "", "Service unavailable, closing channel", C.CAPACITY, R.SLOW_DOWN),
    (421, "4.4.2", "mx.example.org Error: timeout exceeded", C.NETWORK, R.DEFER),
    (0, "", "connection refused", C.NETWORK, R.DEFER),
    (0, "", "", C.NETWORK, R.DEFER),
    (0, "", "the certificate is for another name (MTA-STS)", C.TLS, R.DEFER),
    (0, "", "no TLSA record fits", C.TLS, R.DEFER),
    (530, "5.7.0", "Must issue a STARTTLS command first", C.TLS, R.GIVE_UP),
    (530, "5.7.1", "Authentication required", C.TLS, R.GIVE_UP),
    (550, "5.7.30", "REQUIRETLS support required", C.TLS, R.GIVE_UP),
    (556, "", "domain does not accept mail", C.RECIPIENT_UNKNOWN, R.GIVE_UP),
    (501, "", "bad address", C.PROTOCOL, R.GIVE_UP),
    (503, "", "Bad sequence of commands", C.PROTOCOL, R.GIVE_UP),
    (554, "5.6.7", "SMTPUTF8 is required", C.PROTOCOL, R.GIVE_UP),
    (521, "", "bare LF not allowed", C.PROTOCOL, R.GIVE_UP),
    (554, "5.5.0", "Data error", C.PROTOCOL, R.GIVE_UP),
    # Nothing is said
    (550, "", "", C.OTHER, R.GIVE_UP),
    (554, "5.0.0", "No", C.OTHER, R.GIVE_UP),
    (450, "", "", C.OTHER, R.DEFER),
    (550, "5.7.1", "", C.POLICY, R.GIVE_UP),
    (550, "5.1.0", "", C.RECIPIENT_UNKNOWN, R.GIVE_UP),
    (550, "5.1.0", "<a@b>: sender rejected", C.POLICY, R.GIVE_UP),
    (450, "", "Sender address rejected: Domain not found", C.POLICY, R.DEFER),
    (550, "", "Invalid sender", C.POLICY, R.GIVE_UP),
    (550, "nonsense", "hm", C.OTHER, R.GIVE_UP),
]


@pytest.mark.parametrize(("code", "enhanced", "text", "category", "remedy"), ANSWERS)
def test_an_answer_means(code, enhanced, text, category, remedy):
    assert classify(RemoteReply(code, enhanced, text)) == (category, remedy)


def test_letter_case_means_nothing():
    assert classify(RemoteReply(550, "", "NO SUCH USER")).category is C.RECIPIENT_UNKNOWN


@pytest.mark.parametrize("enhanced", PRECISE)
def test_a_precise_code_counts_more_than_any_text(enhanced):
    reply = RemoteReply(100 * int(enhanced[0]) + 50, enhanced, "spam from a blacklist with a virus")
    assert classify(reply).category is PRECISE[enhanced]


@pytest.mark.parametrize("code", CODES)
def test_a_clear_code_counts_more_than_any_text(code):
    assert classify(RemoteReply(code, "", "spam from a blacklist with a virus")).category is CODES[code]


@pytest.mark.parametrize("subject", GENERAL)
def test_the_general_meaning_counts_last(subject):
    assert classify(RemoteReply(550, f"5.{subject}.99", "hm")).category is GENERAL[subject]
    assert classify(RemoteReply(550, f"5.{subject}.99", "contains a virus")).category is C.VIRUS


def test_every_category_and_remedy_is_met():
    assert {row[3] for row in ANSWERS} == set(Category)
    assert {row[4] for row in ANSWERS} == set(Remedy)
    texts = [row[2].lower() for row in ANSWERS]
    assert [expression.pattern for expression, _ in TEXTS if not any(expression.search(text) for text in texts)] == []


@pytest.mark.parametrize(("code", "enhanced", "text", "category", "remedy"), ANSWERS)
def test_permanent_stays_permanent_and_temporary_temporary(code, enhanced, text, category, remedy):
    gives_up = classify(RemoteReply(code, enhanced, text)).remedy in {R.GIVE_UP, R.SUPPRESS}
    assert gives_up == (code >= 500 and not text.startswith("Too many recipients"))


def test_what_we_know_ourselves_suppresses_nothing():
    """No such domain, null MX: an answer of the DNS, not of somebody who knows the address."""
    for enhanced in ("5.1.2", "5.1.10", "5.1.1", ""):
        reply = RemoteReply(0, enhanced, "no such domain", is_permanent=True)
        assert classify(reply).remedy is R.GIVE_UP
        assert not classify(reply).suppresses
    assert classify(RemoteReply(550, "5.1.1")).suppresses


def test_attack_025_an_endless_answer_is_read_in_part():
    """Only its start counts: no expression runs over more."""
    assert classify(RemoteReply(550, "", "account " * 500_000 + "virus")).category is not C.VIRUS
