"""What is under way: nobody is sent to twice at a time, and memory is bounded."""

import asyncio

import pytest

from mailstead.model.queue import Delivery, Destination, DestinationKind
from mailstead.usecases.underway import UnderWay

LIMIT_S = 20.0


class Part:
    """As much of an item or recipient as is looked at."""

    def __init__(self, **facts):
        self.__dict__.update(facts)


def delivery(lease_id, size_octets, *recipient_ids):
    item = Part(size_octets=size_octets, recipients=[Part(recipient_id=each) for each in recipient_ids])
    return Delivery(lease_id, item, Destination(DestinationKind.DOMAIN, "far.test"))


@pytest.fixture
def under_way():
    return UnderWay(octets_max=100)


async def test_a_recipient_is_taken_up_once_until_let_go(under_way):
    first, again, other = delivery("a", 1, 1, 2), delivery("b", 1, 2, 3), delivery("c", 1, 3)
    assert under_way.take_up(first)
    assert not under_way.take_up(again)
    assert under_way.take_up(other)
    under_way.let_go(again)  # it never was
    assert under_way.deliveries == [first, other]
    under_way.let_go(first)
    under_way.let_go(first)
    under_way.let_go(other)
    assert under_way.take_up(again)


async def test_octets_are_bounded_and_who_waits_goes_in_turn(under_way):
    held, large, small = delivery("a", 60, 1), delivery("b", 70, 2), delivery("c", 10, 3)
    for each in (held, large, small):
        assert under_way.take_up(each)
    await under_way.make_room(held)
    came = []

    async def come(each):
        await under_way.make_room(each)
        came.append(each)

    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        group.create_task(come(large))
        group.create_task(come(small))
        for _ in range(5):
            await asyncio.sleep(0)
        # the small one would fit, but waits behind the large one, which would else wait for ever
        assert came == []
        assert not under_way.has_room(small)
        under_way.let_go(held)
    assert came == [large, small]


async def test_a_message_larger_than_all_room_goes_alone(under_way):
    huge, small = delivery("a", 1000, 1), delivery("b", 1, 2)
    under_way.take_up(huge)
    under_way.take_up(small)
    await under_way.make_room(huge)
    assert not under_way.has_room(small)
    under_way.let_go(huge)
    assert under_way.has_room(small)


async def test_who_stops_waiting_keeps_nobody_waiting(under_way):
    held, large, small = delivery("a", 90, 1), delivery("b", 90, 2), delivery("c", 10, 3)
    for each in (held, large, small):
        under_way.take_up(each)
    await under_way.make_room(held)
    waiting = asyncio.create_task(under_way.make_room(large))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    under_way.let_go(large)
    assert under_way.has_room(small)
    under_way.let_go(held)
    under_way.let_go(small)
    assert len(under_way) == 0
    assert under_way.take_up(large)
    assert under_way.has_room(large)
