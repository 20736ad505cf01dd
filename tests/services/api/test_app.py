"""The frame: paths, methods, log-in, rights, bodies, errors, and what every answer carries."""

import pytest
from prometheus_client import REGISTRY

from mailstead.model.errors import NoSuchAlias, PolicyRefused, StorageUnavailable
from mailstead.services.api.endpoints import Answer, Auth, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.values import Password
from services.api.asking import BASE_URL, PASSWORD, asking, basic


class Echo(Model):
    name: str
    is_on: bool = False
    password: Password = None


class Echoed(Shown):
    name: str
    who: str


async def echo(call):
    return Answer(Echoed(name=call.body.name, who=call.actor.name))


async def who(call):
    return Answer({"who": call.actor.name, "path": dict(call.path), "query": call.query.model_dump()})


def failing(error):
    async def fail(_call):
        raise error

    return fail


def endpoint(method, path, auth=Auth.BOTH, right=Right.CALLER, handler=who, **more):
    name = f"{method} {path}"
    return Endpoint(method, path, name, "a test", "test", auth, right, handler, **more)


ENDPOINTS = (
    endpoint("GET", "/v1/who"),
    endpoint("POST", "/v1/who", handler=echo, body=Echo),
    endpoint("PUT", "/v1/who", handler=echo, body=Echo, offers_dry_run=True),
    endpoint("DELETE", "/v1/who"),
    endpoint("GET", "/v1/things/{thing}"),
    endpoint("GET", "/v1/things/special"),
    endpoint("GET", "/v1/things/{thing}/parts/{part}"),
    endpoint("GET", "/v1/users-only", auth=Auth.TOKEN),
    endpoint("GET", "/v1/owners-only", auth=Auth.ALIAS),
    endpoint("GET", "/v1/for-all", auth=Auth.NONE, right=Right.ANYBODY),
    endpoint("GET", "/v1/server", auth=Auth.TOKEN, right=Right.SERVER_ADMIN),
    endpoint("GET", "/v1/list", query=Listed),
    endpoint("GET", "/v1/taken", changes_by_get=True),
    endpoint("GET", "/v1/gone", handler=failing(NoSuchAlias())),
    endpoint("GET", "/v1/gone-ours", handler=failing(NoSuchAlias()), is_ours=True),
    endpoint("GET", "/v1/refused", handler=failing(PolicyRefused("The name is too long"))),
    endpoint("GET", "/v1/later", handler=failing(StorageUnavailable())),
    endpoint("GET", "/v1/bug", handler=failing(ValueError("secret of the house"))),
)


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path, endpoints=ENDPOINTS) as made:
        yield made


async def test_an_account_logs_in_by_its_password_and_a_user_by_a_token(api):
    assert (await api.ask("GET", "/v1/who")).json()["who"] == "alice@example.test"
    token = await api.token("member")
    for field in (basic(token), f"Bearer {token}"):
        answer = await api.ask("GET", "/v1/who", authorization=field)
        assert answer.json()["who"] == "member@people.test"


@pytest.mark.parametrize(
    "field",
    ["", "Basic", "Basic !!!", "Basic " + "QQ==", "Bearer", "Bearer x", basic("", "x"), basic(""), "Digest a=b"],
)
async def test_attack_063_what_is_no_log_in_is_401_and_says_how(api, field):
    answer = await api.ask("GET", "/v1/who", by=None, **({"authorization": field} if field else {}))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.json()["statusCode"] == 401


async def test_the_wrong_kind_of_log_in_is_401_with_words(api):
    answer = await api.ask("GET", "/v1/users-only")
    assert (answer.status, answer.json()["error"]) == (401, "Unauthorized")
    assert "API token" in answer.message
    answer = await api.ask("GET", "/v1/owners-only", by="member")
    assert answer.status == 401
    assert "password of an account" in answer.message


async def test_attack_092_what_is_for_administrators_of_the_server_is_for_no_others(api):
    assert (await api.ask("GET", "/v1/server", by="server admin")).status == 200
    for by in ("domain admin", "member", "stranger"):
        assert (await api.ask("GET", "/v1/server", by=by)).status == 403
    assert (await api.ask("GET", "/v1/server", by=None)).status == 401


async def test_clear_text_from_elsewhere_is_refused_before_the_password_is_looked_at(api):
    api.address = "192.0.2.7"
    answer = await api.ask("GET", "/v1/who")
    assert answer.status == 403
    assert "TLS" in answer.message


async def test_literal_segments_go_before_names_and_slashes_may_be_in_names(api):
    assert (await api.ask("GET", "/v1/things/special")).json()["path"] == {}
    assert (await api.ask("GET", "/v1/things/a%2Fb/parts/%C3%A9/")).json()["path"] == {"thing": "a/b", "part": "é"}
    for path in ("/v1/things", "/v1/things//parts/x", "/v1/things/%FF", "/v1/things/%00", "/v1/" + "a/" * 50):
        assert (await api.ask("GET", path)).status == 404


async def test_other_methods_are_405_with_allow_and_options_tells_them(api):
    answer = await api.ask("PATCH", "/v1/who")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS, POST, PUT")
    answer = await api.ask("OPTIONS", "/v1/who", by=None)
    assert (answer.status, answer.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, POST, PUT")


async def test_head_is_get_without_its_body(api):
    full, answer = await api.ask("GET", "/v1/who"), await api.ask("HEAD", "/v1/who")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == full.headers["content-length"]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/gone", 404, "No such alias"),
        ("/v1/refused", 400, "The name is too long"),
        ("/v1/later", 503, "The store is not available; please try again later"),
        ("/v1/nothing", 404, "There is nothing here"),
    ],
)
async def test_errors_have_the_body_that_programs_know(api, path, status, message):
    answer = await api.ask("GET", path)
    assert answer.status == status
    assert answer.json()["statusCode"] == status
    assert answer.message == message
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_our_own_endpoints_answer_with_problem_details(api):
    answer = await api.ask("GET", "/v1/gone-ours")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "No such alias"}


async def test_a_bug_is_told_vaguely(api, caplog):
    answer = await api.ask("GET", "/v1/bug")
    assert answer.status == 500
    assert b"secret" not in answer.body


async def test_attack_093_unknown_fields_are_refused_by_name_and_all_faults_are_told(api):
    answer = await api.ask("POST", "/v1/who", {"is_admin": True, "is_on": "perhaps"})
    assert answer.status == 400
    for text in ("is_admin: There is no such field", "name: This field is needed", "is_on:"):
        assert text in answer.message
    answer = await api.ask("GET", "/v1/who?role=admin")
    assert (answer.status, answer.message) == (400, "role: There is no such field")
    assert (await api.ask("DELETE", "/v1/who", {"force": True})).status == 400
    assert (await api.ask("DELETE", "/v1/who", {})).status == 200


async def test_no_error_says_a_value_again(api):
    answer = await api.ask("POST", "/v1/who", {"name": 7, "password": [PASSWORD], "is_on": PASSWORD})
    assert answer.status == 400
    assert PASSWORD.encode() not in answer.body


async def test_dry_runs_only_where_they_are_offered(api):
    assert (await api.ask("PUT", "/v1/who?dry_run=true", {"name": "x"})).status == 200
    assert (await api.ask("POST", "/v1/who?dry_run=true", {"name": "x"})).status == 400
    assert (await api.ask("POST", "/v1/who?dry_run=no", {"name": "x"})).status == 200
    assert (await api.ask("PUT", "/v1/who?dry_run=perhaps", {"name": "x"})).status == 400


async def test_attack_097_every_answer_says_what_browsers_may_do_with_it(api):
    for path in ("/v1/who", "/v1/gone", "/v1/nothing", "/v1/bug"):
        headers = (await api.ask("GET", path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "sandbox" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_attack_089_pages_of_elsewhere_change_nothing(api, fields):
    for method in ("POST", "PUT", "DELETE"):
        answer = await api.ask(method, "/v1/who", {"name": "x"}, **fields)
        assert answer.status == 403
    assert (await api.ask("GET", "/v1/taken", **fields)).status == 403
    assert (await api.ask("GET", "/v1/taken")).status == 200
    answer = await api.ask("GET", "/v1/who", **fields)
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


async def test_attack_089_json_in_plain_text_is_415(api):
    answer = await api.ask("POST", "/v1/who", b'{"name":"x"}', content_type="text/plain")
    assert answer.status == 415
    answer = await api.ask("POST", "/v1/who", b'{"name":"x"}')
    assert answer.status == 415


async def test_allowed_origins_may_ask_from_browsers(tmp_path):
    origin = "https://webmail.example.test"
    async with asking(tmp_path, endpoints=ENDPOINTS, terms={"allowed_origins": frozenset({origin})}) as api:
        asked = await api.ask("OPTIONS", "/v1/who", by=None, origin=origin, access_control_request_method="PUT")
        assert asked.status == 204
        assert asked.headers["access-control-allow-origin"] == origin
        assert "PUT" in asked.headers["access-control-allow-methods"]
        assert "Authorization" in asked.headers["access-control-allow-headers"]
        done = await api.ask("PUT", "/v1/who", {"name": "x"}, origin=origin, sec_fetch_site="cross-site")
        assert (done.status, done.headers["access-control-allow-origin"]) == (200, origin)
        assert "access-control-allow-credentials" not in done.headers
        failed = await api.ask("GET", "/v1/gone", origin=origin)
        assert failed.headers["access-control-allow-origin"] == origin
        other = await api.ask("OPTIONS", "/v1/who", by=None, origin="https://evil.test")
        assert "access-control-allow-origin" not in other.headers
        assert (await api.ask("PUT", "/v1/who", {"name": "x"}, origin="https://evil.test")).status == 403
        assert (await api.ask("PUT", "/v1/who", {"name": "x"}, origin=BASE_URL)).status == 200


async def test_what_is_not_ours_goes_on(api):
    from mailstead.services.api.app import make_api_app

    passed = []

    async def others(scope, _receive, _send):
        passed.append(scope["path"])

    app = make_api_app(api.app._house, others, ENDPOINTS)
    for path in ("/", "/v10/who", "/index.html"):
        await app({"type": "http", "path": path}, None, None)
    assert passed == ["/", "/v10/who", "/index.html"]


async def test_requests_are_counted_by_endpoint_and_never_by_path(api):
    def count(endpoint, status):
        labels = {"endpoint": endpoint, "status": str(status)}
        return REGISTRY.get_sample_value("mailstead_api_requests_total", labels) or 0

    before = count("GET /v1/who", 200), count("none", 404), count("GET /v1/who", 401)
    await api.ask("GET", "/v1/who")
    await api.ask("GET", "/v1/who", by=None)
    for name in range(3):
        await api.ask("GET", f"/v1/none-{name}")
    assert (count("GET /v1/who", 200), count("none", 404), count("GET /v1/who", 401)) == (
        before[0] + 1,
        before[1] + 3,
        before[2] + 1,
    )
