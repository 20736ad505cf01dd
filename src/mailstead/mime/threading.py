"""THREAD: messages grouped by what they answer, or by their subject.

Nothing here calls itself, and no step looks at all ancestors of a message again: a reference loop or a chain of ten
thousand replies costs what the same number of ordinary messages costs.

Spec: RFC 5256 §3 (THREAD, ORDEREDSUBJECT, REFERENCES), §4 (response).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Union

from mailstead.mime.text import fold
from mailstead.model.ids import Uid
from mailstead.model.message import MessageRecord

ThreadItem = Union[Uid, "list[ThreadItem]"]
"""A message, or a list of them: the members of a list follow each other downwards, lists in a list are branches."""


class _Node:
    """A message, or a dummy (`record` is None) for one that is not here or stands for several."""

    __slots__ = ("children", "parent", "position", "record")

    def __init__(self, record: MessageRecord | None, position: int) -> None:
        self.record = record
        self.position = position
        """Place in the mailbox's order; dummies have none."""
        self.parent: _Node | None = None
        self.children: list[_Node] = []


def threads_by_references(records: Iterable[MessageRecord]) -> list[list[ThreadItem]]:
    """Group messages by References, In-Reply-To and, where those are missing, base subject.

    Spec: RFC 5256 §3 (REFERENCES), steps 1 to 6.
    Shapes: records carry `order`. One list per thread; `[2, [3], [4, 5]]` is a message with two answers, and a list
    that starts with a list is a thread whose first message is not here.
    """
    ordered = sorted(records, key=lambda record: record.uid)
    roots = _pruned([node for node in _linked(ordered) if node.parent is None])
    for root in roots:
        if root.record is None:
            _sort(root.children)
    _sort(roots)
    roots = _merged_by_subject(roots)
    _sort_all(roots)
    return [_listed(root) for root in roots]


def threads_by_subject(records: Iterable[MessageRecord]) -> list[list[ThreadItem]]:
    """Group messages with equal base subject, each by sent date, the threads by the date of their first message.

    Spec: RFC 5256 §3 (ORDEREDSUBJECT).
    Shapes: as `threads_by_references`; all later messages are children of the first one.
    """
    by_subject: dict[str, list[MessageRecord]] = {}
    for record in sorted(records, key=_sent):
        by_subject.setdefault(_subject(record), []).append(record)
    threads: list[list[ThreadItem]] = []
    for first, *others in by_subject.values():
        thread: list[ThreadItem] = [first.uid]
        if len(others) == 1:
            thread.append(others[0].uid)
        else:
            thread += [[other.uid] for other in others]
        threads.append(thread)
    return threads


def written_threads(threads: Sequence[Sequence[ThreadItem]], number: Callable[[Uid], int]) -> bytes:
    """Write the thread lists of an untagged THREAD response, without the word and its space.

    Spec: RFC 5256 §4 (THREAD response).
    Shapes: `number` gives what the client shall see: the UID itself or a sequence number.
    """
    words: list[str] = []
    waiting: list[ThreadItem | str] = [list(thread) for thread in reversed(threads)]
    needs_space = False
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            words.append(" (" if needs_space else "(")
            needs_space = False
            waiting.append(")")
            waiting += reversed(item)
        elif isinstance(item, str):
            words.append(item)
            needs_space = False
        else:
            words.append(f" {number(item)}" if needs_space else str(number(item)))
            needs_space = True
    return "".join(words).encode()


def _sent(record: MessageRecord) -> tuple[int, int]:
    """Order by sent date, else internal date, then by place. Spec: RFC 5256 §2.2."""
    assert record.order is not None  # the caller asked for Wanted.ORDER
    sent_at_s = record.order.sent_at_s
    return (record.internaldate_s if sent_at_s is None else sent_at_s), record.uid


def _subject(record: MessageRecord) -> str:
    assert record.order is not None  # as above
    return fold(record.order.base_subject)


def _linked(records: Sequence[MessageRecord]) -> list[_Node]:
    """Link messages to their parents; gives all nodes, dummies too. Step 1.

    The direct parent of a message that is here is its last reference, whatever others say about it (1.B); these
    links are made first. The rest of the references only fill gaps (1.A). A link is made only onto a node without
    parent, so that a loop is a link whose ends have the same root, and roots are kept by union-find.
    """
    nodes: dict[str, _Node] = {}
    extra: list[_Node] = []
    of_message: list[_Node] = []
    for position, record in enumerate(records):
        assert record.order is not None  # as above
        message_id = record.order.message_id
        node = _Node(record, position)
        # Of two messages with one id the first has it; the other one is only itself.
        if message_id and message_id not in nodes:
            nodes[message_id] = node
        else:
            extra.append(node)
        of_message.append(node)

    upward: dict[_Node, _Node] = {}

    def link(parent: _Node, child: _Node) -> None:
        root = parent
        while (above := upward.get(root)) is not None:
            if (higher := upward.get(above)) is not None:
                upward[root] = higher
            root = above
        if root is not child:
            child.parent = parent
            parent.children.append(child)
            upward[child] = parent

    chains: list[list[_Node]] = []
    for node in of_message:
        assert node.record is not None
        assert node.record.order is not None
        chain: list[_Node] = []
        for reference in node.record.order.references:
            referred = nodes.get(reference)
            if referred is None:
                referred = nodes[reference] = _Node(None, -1)
            chain.append(referred)
        chains.append(chain)
        if chain:
            link(chain[-1], node)
    for node, chain in zip(of_message, chains, strict=True):
        for parent, child in pairwise(chain):
            # 1.B takes away what earlier messages said about the parent of a later one without references.
            if child.parent is None and child.position < node.position:
                link(parent, child)
    return [*nodes.values(), *extra]


def _pruned(roots: list[_Node]) -> list[_Node]:
    """Remove dummies: childless ones, and those whose children can take their place. Step 3."""
    order: list[_Node] = []
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting += node.children
    # Children come before their parents in this order, so their own children are pruned already.
    for node in reversed(order):
        children: list[_Node] = []
        for child in node.children:
            if child.record is not None:
                children.append(child)
            else:
                children += child.children
        node.children = children
    kept: list[_Node] = []
    for root in roots:
        if root.record is not None or len(root.children) > 1:
            kept.append(root)
        else:
            kept += root.children
    return kept


def _first(node: _Node) -> MessageRecord:
    """Give the message of a node; of a dummy, its first child's, which never is a dummy."""
    record = node.record if node.record is not None else node.children[0].record
    assert record is not None
    return record


def _sort(nodes: list[_Node]) -> None:
    nodes.sort(key=lambda node: _sent(_first(node)))


def _sort_all(roots: list[_Node]) -> None:
    """Sort siblings everywhere by sent date. Step 6."""
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        _sort(node.children)
        waiting += node.children
    _sort(roots)


def _is_reply(node: _Node) -> bool:
    order = _first(node).order
    return order is not None and order.is_reply


def _merged_by_subject(roots: list[_Node]) -> list[_Node]:
    """Put threads together whose first messages have one base subject. Step 5."""
    subjects = [_subject(_first(root)) for root in roots]
    table: dict[str, _Node] = {}
    for root, subject in zip(roots, subjects, strict=True):
        held = table.get(subject) if subject else None
        if subject and (
            held is None
            or (held.record is not None and root.record is None)
            or (held.record is not None and _is_reply(held) and not _is_reply(root))
        ):
            table[subject] = root
    merged: dict[_Node, None] = dict.fromkeys(roots)
    for root, subject in zip(roots, subjects, strict=True):
        held = table.get(subject)
        if held is None or held is root:
            continue
        del merged[root]
        if held.record is None and root.record is None:
            held.children += root.children
        elif held.record is None or (_is_reply(root) and not _is_reply(held)):
            held.children.append(root)
        else:
            # Neither answers the other: a dummy above both. It takes the other's place.
            dummy = _Node(None, -1)
            dummy.children = [held, root]
            del merged[held]
            merged[dummy] = None
            table[subject] = dummy
    return list(merged)


def _listed(root: _Node) -> list[ThreadItem]:
    """Write a tree as nested lists."""
    thread: list[ThreadItem] = []
    waiting: list[tuple[_Node, list[ThreadItem]]] = [(root, thread)]
    while waiting:
        node, members = waiting.pop()
        while True:
            if node.record is not None:
                members.append(node.record.uid)
            if len(node.children) != 1:
                break
            node = node.children[0]
        for child in node.children:
            branch: list[ThreadItem] = []
            members.append(branch)
            waiting.append((child, branch))
    return thread
