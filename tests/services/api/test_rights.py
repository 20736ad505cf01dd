"""Every endpoint × everybody who may come: the matrix follows from the table of endpoints, and grows with it (row 92).

Whoever has no right is refused as `Endpoint.right` says: 401 for nobody and for the wrong kind of log-in, 403 for whom it
is there and not allowed, 404 for whom it is not there, in the very words that are used of a domain that does not exist.
Whoever has the right gets past: what he then names mostly does not exist, so 404 and 400 are answers, 401, 403 and 500
are not. And what comes back then is what the OpenAPI document says.
"""

import re

import pytest
from jsonschema import Draft202012Validator

from mailstead.config.settings import Dns
from mailstead.model.address import Address
from mailstead.model.directory import Domain
from mailstead.model.people import Group, User
from mailstead.model.secret import Secret
from mailstead.services.api import openapi
from mailstead.services.api.endpoints import Auth, Right
from mailstead.services.api.table import all_endpoints
from mailstead.wiring.house import ADMINISTRATOR
from services.api.asking import PASSWORD, asking, basic

OFFLINE = Dns(servers=("127.0.0.1:9",), query_limit_s=0.2, message_limit_s=0.5)
ENDPOINTS = all_endpoints()
DOCUMENT = openapi.document()
GROUPS = {"member": Group.USER, "domain admin": Group.ADMIN}
ASKS_OTHERS = {"doctor", "domain-doctor", "show-doctor", "run-doctor"}
"""The whole of them looks at the machine and the network: their rights are tried, their work is tried elsewhere."""


def example(schema, definitions, name=""):
    """Give the least value that a schema takes."""
    if "$ref" in schema:
        return example(definitions[schema["$ref"].rpartition("/")[2]], definitions, name)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], definitions, name)
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {each: example(fields[each], definitions, each) for each in schema.get("required", ())}
        case "array":
            return [example(schema["items"], definitions, name)] if schema.get("minItems") else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    if schema.get("format") == "password":
        return PASSWORD
    if name in {"email", "address"}:
        return "new@example.test"
    return {"date-time": "2030-01-01T00:00:00Z", "date": "2030-01-01"}.get(schema.get("format"), "example")


def body_of(endpoint):
    if endpoint.body is None:
        return None
    schema = endpoint.body.model_json_schema()
    return example(schema, schema.get("$defs", {}))


def query_of(endpoint):
    if endpoint.query is None:
        return ""
    schema = endpoint.query.model_json_schema()
    fields = example({**schema, "type": "object"}, schema.get("$defs", {}))
    return "?" + "&".join(f"{name}={value}" for name, value in fields.items()) if fields else ""


def path_of(endpoint, domain):
    return re.sub(r"{(\w+)}", lambda name: domain if name[1] == "domain_id" else "0" * 24, endpoint.path)


async def called(api, endpoint, domain="example.test", **who):
    path = path_of(endpoint, domain) + query_of(endpoint)
    return await api.ask(endpoint.method, path, body_of(endpoint), **who)


def refusals(endpoint, role):
    """Give the statuses with which somebody is refused; none: he has the right."""
    takes_user, takes_account = endpoint.auth in {Auth.TOKEN, Auth.BOTH}, endpoint.auth in {Auth.ALIAS, Auth.BOTH}
    if endpoint.auth is Auth.NONE:
        return set()
    if role == "nobody" or (role == "account owner" and not takes_account):
        return {401}
    if role != "account owner" and not takes_user:
        return {401}
    match endpoint.right:
        case Right.SERVER_ADMIN:
            return set() if role == "server admin" else {403}
        case Right.DOMAIN_ADMIN if role == "member":
            return {403}
        case Right.DOMAIN_ADMIN | Right.MEMBER if role in {"stranger", "account owner"}:
            return {404}
    return set()


def test_every_endpoint_says_who_may_and_where():
    """Deny by default: what is for members of a domain names the domain in its path."""
    for endpoint in ENDPOINTS:
        if endpoint.right in {Right.MEMBER, Right.DOMAIN_ADMIN}:
            assert "{domain_id}" in endpoint.path, endpoint.name
        if endpoint.auth is Auth.NONE:
            assert endpoint.right is Right.ANYBODY, endpoint.name
        else:
            assert endpoint.right is not Right.ANYBODY, endpoint.name


@pytest.mark.parametrize("role", ["nobody", "account owner", "member", "domain admin", "stranger"])
async def test_attack_092_who_has_no_right_is_refused_everywhere(tmp_path, role):
    async with asking(tmp_path, people=("alice",), dns=OFFLINE) as api:
        who = {"nobody": None, "account owner": "alice@example.test"}.get(role, role)
        before = [await api.house.domains.list(ADMINISTRATOR), await api.house.accounts.list(ADMINISTRATOR)]
        wrong, tried = [], 0
        for endpoint in ENDPOINTS:
            expected = refusals(endpoint, role)
            if not expected:
                continue
            tried += 1
            answer = await called(api, endpoint, by=who)
            if answer.status not in expected:
                wrong.append(f"{endpoint.name}: {answer.status}, not {expected}: {answer.body[:200]!r}")
            elif answer.status == 404:
                nowhere = await called(api, endpoint, "nowhere.test", by=who)
                if (nowhere.status, nowhere.body) != (answer.status, answer.body):
                    wrong.append(f"{endpoint.name}: tells that the domain is there: {answer.body!r}, {nowhere.body!r}")
        assert wrong == []
        assert tried > 10
        if role in ("domain admin", "stranger"):
            before[0] += [each for each in await api.house.domains.list(ADMINISTRATOR) if each.name == "other.test"]
        after = [await api.house.domains.list(ADMINISTRATOR), await api.house.accounts.list(ADMINISTRATOR)]
        assert sorted(each.name for each in after[0]) == sorted(each.name for each in before[0])
        assert after[1] == before[1]


def undocumented(endpoint, answer):
    """Give what of an answer is not as the document says."""
    if answer.status not in {endpoint.status, 200}:
        return [f"{endpoint.name}: answers {answer.status}, not {endpoint.status}"]
    responses = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]["responses"]
    content = responses.get(str(answer.status), {}).get("content", {})
    if "application/json" not in content:
        return []
    schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
    faults = Draft202012Validator(schema).iter_errors(answer.json())
    return [f"{endpoint.name}: {fault.json_path}: {fault.message[:200]}" for fault in faults]


class People:
    """Somebody new for each call, so that none finds what another has removed.

    Making accounts takes time: one is for all calls but those about its log-in.
    """

    def __init__(self, api):
        self.api = api
        self.count = 0
        self.owner = None

    async def somebody(self, role, endpoint):
        """Give a domain, and what its new user (or account) logs in with."""
        if role == "account owner":
            return "example.test", await self.account(endpoint)
        self.count += 1
        house, domain = self.api.house, f"d{self.count}.test"
        await house.storage.directory.add_domain(Domain(domain))
        people, user_id = house.storage.people, f"{self.count:024x}"
        await people.add_user(User(user_id, f"somebody@p{self.count}.test", is_admin=role == "server admin"), None)
        if role in GROUPS:
            await people.set_member(domain, user_id, GROUPS[role])
        user = await people.user(user_id)
        token = await house.users.tokens.create(ADMINISTRATOR, "test", user=user)
        return domain, basic(token.secret.reveal())

    async def account(self, endpoint):
        is_about_log_in = endpoint.tag in {"account", "security"} or "password" in endpoint.path
        if self.owner is None or is_about_log_in:
            self.count += 1
            address = f"somebody{self.count}@example.test"
            await self.api.house.accounts.create(ADMINISTRATOR, Address.parse(address), Secret(PASSWORD))
            made = basic(address, PASSWORD)
            if is_about_log_in:
                return made
            self.owner = made
        return self.owner


@pytest.mark.parametrize("role", ["account owner", "member", "domain admin", "server admin"])
async def test_attack_092_who_has_the_right_gets_past_everywhere(tmp_path, role):
    async with asking(tmp_path, people=(), dns=OFFLINE) as api:
        people, wrong, tried, answered = People(api), [], 0, 0
        for endpoint in ENDPOINTS:
            if endpoint.auth is Auth.NONE or refusals(endpoint, role) or endpoint.name in ASKS_OTHERS:
                continue
            tried += 1
            domain, authorization = await people.somebody(role, endpoint)
            answer = await called(api, endpoint, domain, by=None, authorization=authorization)
            # About himself a caller may be refused something, as a program is what only a person may do.
            refused = {401, 403} if endpoint.right is not Right.CALLER else {401}
            if answer.status == 401 and answer.message == "This takes a session":
                continue
            if answer.status < 300:
                answered += 1
                wrong += undocumented(endpoint, answer)
            if answer.status in refused or answer.status in {405, 415, 500}:
                wrong.append(f"{endpoint.name}: {answer.status}: {answer.body[:200]!r}")
        assert wrong == []
        assert tried > 5
        assert answered > 5
