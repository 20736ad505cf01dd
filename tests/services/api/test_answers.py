"""Answers in JSON: written by msgspec, and the same as pydantic would write them."""

import json
import typing
from datetime import UTC, date, datetime

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from mailstead.services.api.answers import odd_fields, written
from mailstead.services.api.endpoints import Shown
from mailstead.services.api.table import all_endpoints
from mailstead.services.api.values import Moment

NOON = datetime(2026, 11, 28, 12, 0, 0, 123_456, UTC)


def models_in(shown):
    if isinstance(shown, type) and issubclass(shown, BaseModel):
        yield shown
        for field in shown.model_fields.values():
            yield from models_in(field.annotation)
    for part in typing.get_args(shown):
        yield from models_in(part)


def takes_moment(annotation):
    """Say whether a field takes a moment as one, by trying."""
    if annotation is typing.Any:
        return False
    try:
        return isinstance(TypeAdapter(annotation).validate_python(NOON), datetime)
    except ValidationError:
        return False


SHOWN = sorted(
    {model for endpoint in all_endpoints() for model in models_in(endpoint.shows)}, key=lambda model: model.__qualname__
)


@pytest.mark.parametrize("model", SHOWN, ids=lambda model: f"{model.__module__}.{model.__qualname__}")
def test_all_that_is_shown_can_be_written(model):
    moments, renamed = odd_fields(model)
    schema = model.model_json_schema(mode="serialization", by_alias=True)
    assert {name for name in model.model_fields if name not in dict(renamed)} | set(dict(renamed).values()) == set(
        schema["properties"]
    )
    assert {name for name, field in model.model_fields.items() if takes_moment(field.annotation)} == set(moments)


class Inner(Shown):
    at: Moment | None
    words: list[str]


class Outer(Shown):
    at: Moment
    inner: Inner
    several: list[Inner]
    by_name: dict[str, Inner]
    number: float
    nothing: None = None


@pytest.mark.parametrize("at", [NOON, NOON.replace(microsecond=0), datetime(1, 1, 1, tzinfo=UTC)])
def test_it_is_what_pydantic_would_write(at):
    inner = Inner(at=at, words=["a", "ü", "\u2028", '"'])
    outer = Outer(at=at, inner=inner, several=[inner, Inner(at=None, words=[])], by_name={"x": inner}, number=1.5)
    for content in (outer, [outer, outer], {"plain": [1, None, True]}):
        octets = written(content)
        assert json.loads(octets) == json.loads(TypeAdapter(typing.Any).dump_json(content))
    assert written(inner).startswith(f'{{"at":"{at.year:04d}-'.encode())
    assert b".123Z" in written(Inner(at=NOON, words=[]))


def test_a_moment_deeper_is_refused_at_once():
    class Bad(Shown):
        moments: list[Moment]

    with pytest.raises(TypeError, match="moments"):
        written(Bad(moments=[NOON]))


def test_a_day_is_no_moment():
    class Dated(Shown):
        day: date | None

    assert odd_fields(Dated) == ((), ())
    assert written(Dated(day=NOON.date())) == b'{"day":"2026-11-28"}'


def test_what_has_no_form_is_refused():
    with pytest.raises(TypeError, match="no form"):
        written(object())
