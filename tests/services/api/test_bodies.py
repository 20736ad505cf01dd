"""Bodies in three forms, within bounds. Spec: reference forwardemail 4.1; attack row 98."""

import json

import pytest

from mailstead.services.api import bodies
from mailstead.services.api.endpoints import Answer, Auth, Endpoint, Model, Right
from mailstead.services.api.errors import Refusal
from mailstead.services.api.values import Day, Moment, Octets, Password, Words
from services.api.asking import asking

MULTIPART = "multipart/form-data; boundary=x"


class Sub(Model):
    name: str


class Body(Model):
    name: str = ""
    is_on: bool | None = None
    count: int | None = None
    words: Words = []
    settings: dict[str, Sub] = {}
    size: Octets | None = None
    at: Moment | None = None
    day: Day | None = None


async def echo(call):
    made = call.body.model_dump(mode="json", exclude_defaults=True)
    files = [[file.field_name, file.name, file.media_type, file.octets.decode("latin-1")] for file in call.files]
    return Answer(made | ({"files": files} if files else {}))


def endpoint(path, **more):
    return Endpoint("POST", path, path, "x", "test", Auth.NONE, Right.ANYBODY, echo, body=Body, **more)


ENDPOINTS = (
    endpoint("/v1/echo"),
    endpoint("/v1/files", takes_files=True),
    endpoint("/v1/small", body_octets_max=100),
)


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path, people=(), endpoints=ENDPOINTS) as made:
        yield made


def part(name, value, filename=None, more=""):
    name_of_file = f'; filename="{filename}"' if filename is not None else ""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{name_of_file}\r\n{more}\r\n{value}\r\n'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps({"name": "é", "is_on": "yes", "count": 3, "words": ["a", "b"]})),
        ("application/json; charset=utf-8", json.dumps({"name": "é", "is_on": 1, "count": "3", "words": "a, b"})),
        ("application/x-www-form-urlencoded", "name=%C3%A9&is_on=on&count=3&words=a+b"),
        ("application/x-www-form-urlencoded", "name=%C3%A9&is_on=true&count=3&words=a&words=b"),
        ("application/x-www-form-urlencoded", "name=%C3%A9&is_on=1&count=3&words[]=a&words[]=b"),
        ("application/x-www-form-urlencoded", "name=%C3%A9&is_on=YES&count=3&words%5B0%5D=a&words%5B1%5D=b"),
        (MULTIPART, part("name", "é") + part("is_on", "true") + part("count", "3") + part("words", "a\r\nb") + "--x--"),
        (MULTIPART, part("words", "a") + part("words", "b") + part("count", "3") + part("is_on", "1")
         + part("name", "é") + part("file", "", "") + "--x--\r\n"),
    ],
)  # fmt: skip
async def test_three_forms_mean_the_same(api, content_type, body):
    answer = await api.ask("POST", "/v1/echo", body.encode(), by=None, content_type=content_type)
    assert answer.status == 200, answer.body
    assert answer.json() == {"name": "é", "is_on": True, "count": 3, "words": ["a", "b"]}


@pytest.mark.parametrize("said", ["false", "no", "off", "0", "FALSE"])
async def test_what_is_false(api, said):
    answer = await api.ask("POST", "/v1/echo", {"is_on": said}, by=None)
    assert answer.json() == {"is_on": False}


async def test_values(api):
    answer = await api.ask(
        "POST",
        "/v1/echo",
        {"size": "1.5 GB", "at": "2026-01-01T01:00:00+01:00", "day": "2026-02-03T04:05:06Z", "words": "a,b\nc  d,"},
        by=None,
    )
    assert answer.json() == {
        "size": 3 * 512 * 1024 * 1024,
        "at": "2026-01-01T00:00:00.000Z",
        "day": "2026-02-03",
        "words": ["a", "b", "c", "d"],
    }
    for wrong in ({"size": "much"}, {"size": -1}, {"at": "soon"}, {"day": "2026-13-01"}, {"words": 7}, {"is_on": "2"}):
        assert (await api.ask("POST", "/v1/echo", wrong, by=None)).status == 400, wrong


async def test_objects_in_forms(api):
    body = b"settings[a][name]=x&settings[b][name]=y"
    answer = await api.ask("POST", "/v1/echo", body, by=None, content_type="application/x-www-form-urlencoded")
    assert answer.json() == {"settings": {"a": {"name": "x"}, "b": {"name": "y"}}}


async def test_files(api):
    body = part("name", "n") + part("attachment", "<b>", "a.html", "Content-Type: text/html\r\n") + "--x--"
    answer = await api.ask("POST", "/v1/files", body.encode(), by=None, content_type=MULTIPART)
    assert answer.json() == {"name": "n", "files": [["attachment", "a.html", "text/html", "<b>"]]}
    assert (await api.ask("POST", "/v1/echo", body.encode(), by=None, content_type=MULTIPART)).status == 415


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'"x"', 400),
        ("application/json", b'{"count": NaN}', 400),
        ("application/json", b'{"name": "\xff"}', 400),
        ("application/json", b'{"name": "\\ud800"}', 400),
        ("application/x-www-form-urlencoded", b"name=%FF", 400),
        ("application/x-www-form-urlencoded", b"name=\xff", 400),
        ("application/x-www-form-urlencoded", b"a[b[c]]=1", 400),
        ("application/x-www-form-urlencoded", b"a=1&a[b]=2", 400),
        ("application/x-www-form-urlencoded", b"a[b]=1&a=2", 400),
        ("application/x-www-form-urlencoded", b"a[b][c][d][e]=1", 400),
        ("application/x-www-form-urlencoded", b"a=1&" * 2000, 400),
        (MULTIPART, b"--x\r\n", 400),
        (MULTIPART, b"nonsense", 400),
        (MULTIPART, part("name", "n").encode(), 400),
        (MULTIPART, b"--x\r\n\r\nno name\r\n--x--", 400),
        (MULTIPART, part("name", "n", more="X: " + "a" * 9000 + "\r\n").encode() + b"--x--", 400),
        (MULTIPART, part("name", "n", more="X: a\r\n" * 30).encode() + b"--x--", 400),
        (MULTIPART, (part("name", "n") * 1500).encode() + b"--x--", 413),
        (MULTIPART, (part("f", "n", "a.txt") * 60).encode() + b"--x--", 413),
        ("multipart/form-data", b"--x--", 400),
        ("multipart/form-data; boundary=" + "x" * 100, b"--x--", 400),
        ("text/plain", b'{"name":"x"}', 415),
        ("application/xml", b"<name/>", 415),
        ("text/json", b"{}", 415),
    ],
)  # fmt: skip
async def test_attack_098_bodies_that_are_not_taken(api, content_type, body, status):
    answer = await api.ask("POST", "/v1/files", body, by=None, content_type=content_type)
    assert answer.status == status, answer.body
    assert answer.json()["statusCode"] == status


def test_attack_098_json_is_at_most_32_deep():
    def deep(levels, opening=b'{"a":', closing=b"}"):
        return opening * levels + b"1" + closing * levels

    assert bodies.json_of(deep(32))
    assert bodies.json_of(b'{"a":' + deep(31, b"[", b"]") + b"}")
    for body in (
        deep(33),
        deep(500),
        b'{"a":' + deep(32, b"[", b"]") + b"}",
        b'{"a":' + deep(100_000, b"[", b"]") + b"}",
        b'{"a":' + b"[" * 1_000_000,
    ):
        with pytest.raises(Refusal) as refused:
            bodies.json_of(body)
        assert refused.value.status == 400


async def test_attack_098_too_much_is_413_before_it_is_read(api):
    answer = await api.ask(
        "POST", "/v1/small", b"x", by=None, content_type="application/json", content_length="9999999999"
    )
    assert (answer.status, answer.headers["connection"]) == (413, "close")

    body = [b"x" * 30] * 10
    answer = await api.ask("POST", "/v1/small", by=None, content_type="application/json", pieces=body)
    assert answer.status == 413
    whole = await api.ask("POST", "/v1/small", by=None, content_type="application/json", pieces=[b'{"na', b'me":"x"}'])
    assert whole.json() == {"name": "x"}


async def test_compressed_bodies_are_415(api):
    answer = await api.ask("POST", "/v1/echo", {"name": "x"}, by=None, content_encoding="gzip")
    assert answer.status == 415


def test_a_password_is_a_secret_as_soon_as_it_is_read():
    class WithPassword(Model):
        password: Password = None

    read = WithPassword.model_validate({"password": "never-shown"})
    assert "never-shown" not in repr(read)
    assert read.password.reveal() == "never-shown"


async def test_attack_098_large_bodies_are_read_beside_the_loop_and_many_small_things_are_413(tmp_path):
    endpoints = (endpoint("/v1/large", body_octets_max=4 * 1024 * 1024, takes_files=True),)
    async with asking(tmp_path, people=(), endpoints=endpoints) as api:
        body = part("name", "n") + part("f", "x" * 1_000_000, "a.txt") + "--x--"
        answer = await api.ask("POST", "/v1/large", body.encode(), by=None, content_type=MULTIPART)
        assert (answer.status, len(answer.json()["files"][0][3])) == (200, 1_000_000)
        answer = await api.ask("POST", "/v1/large", {"words": ["a" * 100] * 10_000}, by=None)
        assert len(answer.json()["words"]) == 10_000
        many = b'{"words":[' + b"{}," * 200_000 + b"{}]}"
        answer = await api.ask("POST", "/v1/large", many, by=None, content_type="application/json")
        assert answer.status == 413
        wrong = await api.ask("POST", "/v1/large", {"title": "a" * 1_000_000}, by=None)
        assert (wrong.status, wrong.message) == (400, "title: There is no such field")
