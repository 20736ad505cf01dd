"""Sieve scripts over the API: of an alias, and of the account itself."""

import pytest

from services.api.asking import asking
from services.api.reviewed import check_golden

OF_ALIAS = "/v1/domains/example.test/aliases/alice/sieve"
OWN = "/v1/sieve-scripts"
SCRIPT = 'require "fileinto";\r\nif header :contains "subject" "x" { fileinto "Junk"; }\r\n'
WAYS = ((OF_ALIAS, "domain admin"), (OWN, "alice@example.test"))


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path, people=("alice",)) as asked:
        yield asked


async def test_both_ways_lead_to_the_same_scripts(api):
    made = await api.ask(
        "POST", OF_ALIAS, {"name": "junk", "content": SCRIPT, "description": "d", "priority": 3}, by="domain admin"
    )
    assert made.status == 200, made.body
    check_golden("sieve_script", made.json())
    for path, by in WAYS:
        for script in ("junk", made.json()["id"]):
            assert (await api.ask("GET", f"{path}/{script}", by=by)).json() == made.json()
        answer = await api.ask("GET", path, by=by)
        assert (answer.json(), answer.headers["x-item-count"]) == ([made.json()], "1")


async def test_a_script_is_made_changed_activated_and_deleted(api):
    for path, by in WAYS:
        made = (await api.ask("POST", path, {"name": "a", "content": SCRIPT, "is_active": True}, by=by)).json()
        assert made["is_active"]
        other = (await api.ask("POST", path, {"name": "b"}, by=by)).json()
        assert (await api.ask("DELETE", f"{path}/a", by=by)).status == 400  # the active one
        changed = (await api.ask("PUT", f"{path}/b", {"content": "keep;", "activate": True}, by=by)).json()
        assert (changed["content"], changed["is_active"], changed["id"]) == ("keep;", True, other["id"])
        assert (await api.ask("POST", f"{path}/a/activate", by=by)).json()["is_active"]
        assert not (await api.ask("GET", f"{path}/b", by=by)).json()["is_active"]
        assert not (await api.ask("PUT", f"{path}/a", {"activate": "no"}, by=by)).json()["is_active"]
        for name in ("a", "b"):
            assert (await api.ask("DELETE", f"{path}/{name}", by=by)).json()["name"] == name
            assert (await api.ask("GET", f"{path}/{name}", by=by)).status == 404
        assert (await api.ask("GET", path, by=by)).json() == []


async def test_a_deleted_script_leaves_no_description_to_the_next(api):
    by = "alice@example.test"
    await api.ask("POST", OWN, {"name": "a", "description": "old", "priority": 5}, by=by)
    await api.ask("DELETE", f"{OWN}/a", by=by)
    made = (await api.ask("POST", OWN, {"name": "a"}, by=by)).json()
    assert (made["description"], made["priority"]) == ("", 0)


async def test_attack_057_what_does_not_compile_is_never_kept(api):
    by = "alice@example.test"
    await api.ask("POST", OWN, {"name": "a", "content": SCRIPT}, by=by)
    for content in ("nonsense", 'require "nonsense";', "if"):
        assert (await api.ask("POST", OWN, {"name": "b", "content": content}, by=by)).status == 400
        answer = await api.ask("PUT", f"{OWN}/a", {"content": content, "activate": True}, by=by)
        assert answer.status == 400
    assert [(one["name"], one["content"], one["is_active"]) for one in (await api.ask("GET", OWN, by=by)).json()] == [
        ("a", SCRIPT, False)
    ]
    assert (await api.ask("POST", OWN, {"name": "a"}, by=by)).status == 409
    assert (await api.ask("POST", OWN, {"name": "x\ny"}, by=by)).status == 400
    assert (await api.ask("POST", OWN, {"name": "x" * 600}, by=by)).status == 400
    assert (await api.ask("POST", OWN, {"name": "x", "description": "y" * 501}, by=by)).status == 400


async def test_attack_092_others_scripts_are_not_there(api):
    made = (await api.ask("POST", OWN, {"name": "a"})).json()
    for by in ("stranger", "member"):
        for path in (OF_ALIAS, f"{OF_ALIAS}/a", f"{OF_ALIAS}/{made['id']}"):
            assert (await api.ask("GET", path, by=by)).status == 404
    assert (await api.ask("GET", OF_ALIAS, by="alice@example.test")).status == 401
    assert (await api.ask("GET", OWN, by="domain admin")).status == 401
    await api.ask(
        "POST", "/v1/domains/example.test/aliases", {"name": "no", "recipients": "a@b.test"}, by="domain admin"
    )
    assert (await api.ask("GET", OF_ALIAS.replace("alice", "no"), by="domain admin")).status == 400


async def test_what_scripts_may_ask_for_is_told(api):
    told = (await api.ask("GET", "/v1/sieve-capabilities")).json()
    assert {"fileinto", "vacation", "regex"} & set(told["extensions"]) >= {"fileinto", "vacation"}
    assert told["scripts_max"] == 50
