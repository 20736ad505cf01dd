import random

from mailstead.mime.subject import base_subject
from mailstead.mime.threading import threads_by_references, threads_by_subject, written_threads
from mailstead.model.message import MessageRecord, OrderFacts


def record(uid, subject="", sent=None, message_id=None, references=()):
    base, is_reply = base_subject(subject)
    order = OrderFacts(sent, base, is_reply, "", "", "", "", "", message_id, tuple(references))
    return MessageRecord(uid, 1, frozenset(), uid, 0, 0, 0, 0, "", "", 0, order=order)


def threaded(records, algorithm=threads_by_references):
    return written_threads(algorithm(records), lambda uid: uid).decode()


def test_chain_and_branches():
    records = [
        record(1, "a", 1, "1@x"),
        record(2, "Re: a", 2, "2@x", ["1@x"]),
        record(3, "Re: a", 3, "3@x", ["1@x", "2@x"]),
        record(4, "Re: a", 4, "4@x", ["1@x", "2@x"]),
        record(5, "other", 0, "5@x"),
    ]
    assert threaded(records) == "(5)(1 2 (3)(4))"
    assert threaded(list(reversed(records))) == "(5)(1 2 (3)(4))"


def test_example_of_the_rfc_response():
    # RFC 5256 §4: message 2; 3 parent of 6, which has 4 (parent of 23) and 44 (parent of 7, parent of 96)
    records = [
        record(2, "x", 1, "2@x"),
        record(3, "y", 2, "3@x"),
        record(6, "y", 3, "6@x", ["3@x"]),
        record(4, "y", 4, "4@x", ["6@x"]),
        record(23, "y", 5, "23@x", ["4@x"]),
        record(44, "y", 6, "44@x", ["6@x"]),
        record(7, "y", 7, "7@x", ["44@x"]),
        record(96, "y", 8, "96@x", ["7@x"]),
    ]
    assert threaded(records) == "(2)(3 6 (4 23)(44 7 96))"


def test_missing_parent_joins_its_children():
    assert threaded([record(3, "a", 3, "3@x", ["gone@x"]), record(5, "b", 5, "5@x", ["gone@x"])]) == "((3)(5))"
    assert threaded([record(3, "a", 3, "3@x", ["gone@x"])]) == "(3)"
    assert threaded([record(1, "a", 1, "1@x"), record(3, "b", 3, "3@x", ["1@x", "gone@x"])]) == "(1 3)"


def test_subjects_merge_threads():
    # A reply without references goes below the message it answers.
    assert threaded([record(1, "a", 1, "1@x"), record(2, "Re: a", 2, "2@x")]) == "(1 2)"
    # Two of equal standing get a dummy above them.
    assert threaded([record(1, "a", 1, "1@x"), record(2, "A", 2, "2@x")]) == "((1)(2))"
    assert (
        threaded([record(1, "Re: a", 1, "1@x"), record(2, "Re: a", 2, "2@x"), record(3, "Re: A", 3, "3@x")])
        == "((1)(2)(3))"
    )
    # Two dummies become one.
    records = [record(n, "a", n, f"{n}@x", [f"gone{n // 3}@x"]) for n in (1, 2, 3, 4)]
    assert threaded(records) == "((1)(2)(3)(4))"
    # Empty subjects merge nothing.
    assert threaded([record(1, "", 1), record(2, "", 2)]) == "(1)(2)"


def test_doubled_and_missing_message_ids():
    records = [record(1, "a", 1, "1@x"), record(2, "b", 2, "1@x"), record(3, "c", 3, "3@x", ["1@x"]), record(4, "d", 4)]
    assert threaded(records) == "(1 3)(2)(4)"


def test_ordered_subject():
    records = [
        record(1, "b", 10),
        record(2, "a", 5),
        record(3, "Re: b", 7),
        record(4, "Re: a", 6),
        record(5, "Fwd: b", 8),
    ]
    assert threaded(records, threads_by_subject) == "(2 4)(3 (5)(1))"


def test_reference_loops_and_long_chains_lose_no_message():
    loops = [record(n, str(n), n, f"{n}@x", [f"{(n + 1) % 50}@x", f"{n}@x", f"{(n + 7) % 50}@x"]) for n in range(1, 50)]
    chain = [record(n, "x", n, f"{n}@x", [f"{n - 1}@x"]) for n in range(1, 20_000)]
    comb = [record(n, "x", n, f"{n}@x", [f"{n - 1 - n % 2}@x"]) for n in range(1, 10_000)]
    chance = random.Random(1)
    tangle = [
        record(n, str(n % 7), n, f"{n}@x", [f"{chance.randrange(2000)}@x" for _ in range(20)]) for n in range(2000)
    ]
    for records in (loops, chain, comb, tangle):
        written = threaded(records)
        assert sorted(int(word) for word in written.replace("(", " ").replace(")", " ").split()) == [
            r.uid for r in records
        ]
        assert written.count("(") == written.count(")")
        assert threaded(records, threads_by_subject)


def test_a_thread_of_thousands_needs_no_recursion():
    thread = list(range(1, 20_000))
    assert written_threads([thread], lambda uid: uid).startswith(b"(1 2 3 ")
    deep = [1]
    for number in range(2, 20_000):
        deep = [number, deep, [number]]
    assert written_threads([deep], lambda uid: uid).startswith(b"(19999 (19998 (")
