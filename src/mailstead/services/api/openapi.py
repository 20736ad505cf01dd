"""The OpenAPI document, and a page for people: both from the table of endpoints and its models, so neither can drift.

Spec: OpenAPI 3.1.0; JSON Schema 2020-12.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.metadata import version
from typing import Any, Final, Literal

from jinja2 import Environment
from markupsafe import Markup
from pydantic import TypeAdapter

from mailstead.services.api.endpoints import Auth, Endpoint, Listed, Model, Right
from mailstead.services.api.table import all_endpoints

STYLE: Final = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code { font: .95em ui-monospace, monospace; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884 }
section { border-top: 1px solid #8888; margin-top: 1.5rem }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600 }
nav ul { columns: 3 12rem; padding-left: 1rem }
"""
_STYLE: Final = Markup(STYLE)  # noqa: S704  # our own text
_REFS: Final = "#/components/schemas/{model}"
_NAMES: Final = re.compile(r"{(\w+)}")
_SECURITY: Final[Mapping[Auth, list[dict[str, list[str]]]]] = {
    Auth.NONE: [],
    Auth.TOKEN: [{"token": []}, {"bearer": []}],
    Auth.ALIAS: [{"account": []}],
    Auth.BOTH: [{"token": []}, {"bearer": []}, {"account": []}],
}
_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "basic", "description": "The API token as user name, and no password."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The API token."},
    "account": {"type": "http", "scheme": "basic", "description": "Address and password of an account."},
}
_RIGHTS: Final[Mapping[Right, str]] = {
    Right.ANYBODY: "",
    Right.CALLER: "Each caller has to do with his own only.",
    Right.MEMBER: "For members of the domain; to others the domain is not there.",
    Right.DOMAIN_ADMIN: "For administrators of the domain; to who is no member the domain is not there.",
    Right.SERVER_ADMIN: "For administrators of the server.",
}
_ERROR: Final = {
    "type": "object",
    "required": ["statusCode", "error", "message"],
    "properties": {
        "statusCode": {"type": "integer"},
        "error": {"type": "string", "description": "The reason phrase of the status."},
        "message": {"type": "string", "description": "What is wrong, for people."},
    },
}
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, for people."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_LIST_HEADERS: Final = {
    "X-Page-Count": "Pages that there are.",
    "X-Page-Current": "This page's number, from 1.",
    "X-Page-Size": "Items on this page.",
    "X-Item-Count": "Items of the whole list.",
}
_DESCRIPTION: Final = """Compatible with Forward Email's API v1; what goes beyond it answers errors as problem details.

Bodies are JSON, forms or multipart/form-data; unknown fields are refused. Lists come in pages. PUT changes what is
given, the rest stays. Booleans are also written yes, no, on, off, 1, 0; lists also as text with commas."""

_Kind = tuple[str, Literal["validation", "serialization"], TypeAdapter[Any]]


def document(base_url: str = "/", endpoints: Iterable[Endpoint] | None = None) -> dict[str, Any]:
    """Give the document; `base_url`: where the API is."""
    wanted = tuple(all_endpoints() if endpoints is None else endpoints)
    kinds = [kind for endpoint in wanted for kind in _kinds(endpoint)]
    schemas, definitions = TypeAdapter.json_schemas(kinds, ref_template=_REFS)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in wanted:
        operation = _operation(endpoint, {key: schema for (key, _), schema in schemas.items()}, definitions)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mailstead", "version": version("mailstead"), "description": _DESCRIPTION},
        "servers": [{"url": base_url}],
        "tags": [{"name": tag} for tag in sorted({endpoint.tag for endpoint in wanted})],
        "paths": paths,
        "components": {
            "securitySchemes": _SCHEMES,
            "schemas": {**definitions.get("$defs", {}), "Error": _ERROR, "Problem": _PROBLEM},
        },
    }


@functools.lru_cache(maxsize=4)
def document_of(base_url: str) -> dict[str, Any]:
    """Give the document of all endpoints, made once."""
    return document(base_url)


@functools.lru_cache(maxsize=4)
def page(base_url: str) -> str:
    """Give the document as a page for people: no script, nothing loaded."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((resources.files(__package__) / "docs.html").read_text("utf-8"))
    made = document_of(base_url)
    schemas = {
        name: [
            {**field, "name": key, "type": _type_text(field), "is_needed": key in schema.get("required", ())}
            for key, field in schema.get("properties", {}).items()
        ]
        for name, schema in sorted(made["components"]["schemas"].items())
    }
    return template.render(document=made, operations=_by_tag(made), schemas=schemas, style=_STYLE)


def _kinds(endpoint: Endpoint) -> list[_Kind]:
    """Give the models of an endpoint, by the keys under which their schemas are found again."""
    found: list[_Kind] = []
    if endpoint.body is not None:
        found.append((f"{endpoint.name} body", "validation", TypeAdapter(endpoint.body)))
    if endpoint.shows is not None:
        found.append((f"{endpoint.name} shows", "serialization", TypeAdapter(endpoint.shows)))
    query = _query_of(endpoint)
    if query is not None:
        found.append((f"{endpoint.name} query", "validation", TypeAdapter(query)))
    return found


def _query_of(endpoint: Endpoint) -> type[Model] | None:
    return endpoint.query or (Listed if _is_list(endpoint) else None)


def _is_list(endpoint: Endpoint) -> bool:
    return getattr(endpoint.shows, "__origin__", None) is list


def _operation(
    endpoint: Endpoint, schemas: Mapping[str, dict[str, Any]], definitions: Mapping[str, Any]
) -> dict[str, Any]:
    description = " ".join(text for text in (endpoint.description, _RIGHTS[endpoint.right]) if text)
    made: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "security": _SECURITY[endpoint.auth],
        "parameters": _parameters(endpoint, schemas, definitions),
        "responses": _responses(endpoint, schemas),
    }
    if description:
        made["description"] = description
    if endpoint.command:
        made["x-command"] = f"mailstead {endpoint.command}"
    if endpoint.per_day:
        made["x-calls-per-day"] = endpoint.per_day
    if endpoint.body is not None:
        made["requestBody"] = _request_body(endpoint, schemas[f"{endpoint.name} body"], definitions)
    return made


def _parameters(
    endpoint: Endpoint, schemas: Mapping[str, dict[str, Any]], definitions: Mapping[str, Any]
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _NAMES.findall(endpoint.path)
    ]
    if _query_of(endpoint) is not None:
        model = _resolved(schemas[f"{endpoint.name} query"], definitions)
        needed = model.get("required", ())
        for name, schema in model.get("properties", {}).items():
            made.append({"name": name, "in": "query", "required": name in needed, "schema": schema})
    if endpoint.offers_dry_run:
        what = "Check all, change nothing."
        made.append({"name": "dry_run", "in": "query", "description": what, "schema": {"type": "boolean"}})
    if endpoint.method == "POST" and endpoint.auth is not Auth.NONE:
        what = "Sent again with the same key within a day, the request is not done again."
        text = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
        made.append({"name": "Idempotency-Key", "in": "header", "description": what, "schema": text})
    return made


def _resolved(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return definitions["$defs"][name] if name else schema


def _request_body(endpoint: Endpoint, schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"content": {"application/json": {"schema": schema}}}
    made["content"]["application/x-www-form-urlencoded"] = {"schema": schema}
    if endpoint.takes_files:
        made["description"] = "Files come as parts of multipart/form-data, beside the fields."
        made["content"]["multipart/form-data"] = {"schema": {"type": "object"}}
    else:
        made["content"]["multipart/form-data"] = {"schema": schema}
    made["required"] = bool(_resolved(schema, definitions).get("required"))
    return made


def _responses(endpoint: Endpoint, schemas: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if endpoint.shows is not None:
        success["content"] = {endpoint.media_type: {"schema": schemas[f"{endpoint.name} shows"]}}
    elif endpoint.media_type != "application/json":
        success["content"] = {endpoint.media_type: {"schema": {"type": "string"}}}
    if endpoint.other_media_type:
        success["content"][endpoint.other_media_type] = {"schema": {"type": "string"}}
    if _is_list(endpoint):
        headers: dict[str, Any] = {
            name: {"description": text, "schema": {"type": "integer"}} for name, text in _LIST_HEADERS.items()
        }
        headers["Link"] = {"description": "prev, next, last, first (RFC 8288).", "schema": {"type": "string"}}
        success["headers"] = headers
    name, media_type = ("Problem", "application/problem+json") if endpoint.is_ours else ("Error", "application/json")
    error = {media_type: {"schema": {"$ref": _REFS.format(model=name)}}}
    return {
        str(endpoint.status): success,
        "default": {"description": "It went wrong; `Retry-After` with 429 and 503.", "content": error},
    }


def _by_tag(made: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Give what the page shows, by tag."""
    found: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in made["tags"]}
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            success = next(iter(operation["responses"].items()))
            contents: list[dict[str, Any]] = list(success[1].get("content", {}).values())
            content = contents[0].get("schema") if contents else None
            found[operation["tags"][0]].append(
                {
                    **operation,
                    "method": method.upper(),
                    "path": path,
                    "body": _type_text(body),
                    "status": success[0],
                    "shows": _type_text(content),
                    "auth": " or ".join(dict.fromkeys(key for each in operation["security"] for key in each)),
                    "parameters": [
                        {**each, "type": _type_text(each["schema"])} for each in operation.get("parameters", ())
                    ],
                }
            )
    return found


def _type_text(schema: Mapping[str, Any] | None) -> str:
    if not schema:
        return ""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " | ".join(f'"{each}"' for each in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        return " | ".join(dict.fromkeys(_type_text(each) for each in schema.get("anyOf") or schema["oneOf"]))
    if schema.get("type") == "array":
        return f"list of {_type_text(schema.get('items')) or 'anything'}"
    text = str(schema.get("type", "anything"))
    return f"{text} ({schema['format']})" if "format" in schema else text
