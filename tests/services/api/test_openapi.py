"""The document of the API says what there is, and its page needs nothing but itself."""

import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from mailstead.services.api import openapi
from mailstead.services.api.endpoints import Auth, Model
from mailstead.services.api.table import all_endpoints
from services.api.asking import BASE_URL, asking

DOCUMENT = json.loads(json.dumps(openapi.document()))


def nested(value):
    yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nested(child)


@pytest.mark.parametrize("endpoint", all_endpoints(), ids=lambda endpoint: endpoint.name)
def test_every_endpoint_is_in_it(endpoint):
    operation = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
    assert operation["operationId"] == endpoint.name
    assert operation["summary"]
    assert bool(operation["security"]) == (endpoint.auth is not Auth.NONE)
    named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
    assert named == set(re.findall(r"{(\w+)}", endpoint.path))
    assert str(endpoint.status) in operation["responses"]
    assert ("requestBody" in operation) == (endpoint.body is not None)


def test_all_references_lead_somewhere():
    references = {each["$ref"] for each in nested(DOCUMENT) if isinstance(each, dict) and "$ref" in each}
    names = {reference.removeprefix("#/components/schemas/") for reference in references}
    assert names - set(DOCUMENT["components"]["schemas"]) == set()
    assert names


@pytest.mark.parametrize(
    "model",
    [
        each
        for endpoint in all_endpoints()
        for each in (endpoint.body, endpoint.query)
        if each is not None and endpoint.path.startswith("/v1")
    ],
    ids=lambda model: model.__name__,
)
def test_attack_093_models_of_what_comes_in_refuse_unknown_fields(model):
    """But for the interfaces of others (``/api``), whose programs send what only their own server needs."""
    assert issubclass(model, Model)
    assert model.model_config["extra"] == "forbid"
    assert model.model_json_schema().get("additionalProperties") is False


async def test_it_is_served_with_a_page_that_loads_nothing(tmp_path):
    async with asking(tmp_path, people=()) as api:
        answer = await api.ask("GET", "/v1/openapi.json", by=None)
        assert answer.json() == {**DOCUMENT, "servers": [{"url": BASE_URL}]}
        answer = await api.ask("GET", "/v1/docs", by=None)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        text = answer.body.decode()
        assert "/v1/account" in text
        assert re.search(r"<script|<link|<img|javascript:| on\w+=| style=", text, re.IGNORECASE) is None
        style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
        found = b64encode(sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{found}'" in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert set(re.findall(r'href="([^"#]*)', text)) == {"", "/v1/openapi.json"}
