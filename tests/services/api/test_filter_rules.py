"""Filters as rules over the API."""

import pytest

from services.api.asking import asking
from services.api.reviewed import check_golden

PATH = "/v1/filter-rules"
SCRIPT = (
    'require ["fileinto", "vacation", "imap4flags"];\r\n# rule:[Bills]\r\nif allof (header :contains "subject" "bill",'
    ' not size :over 1M) {\r\n    addflag "\\\\Seen";\r\n    fileinto "Archive";\r\n    stop;\r\n}\r\n'
    '# rule:[Away]\r\nif true { vacation "x"; }\r\n'
)
NOISE = {
    "name": "Noise",
    "conditions": [{"field": "from", "match": "is", "values": ["noise@x.test"]}],
    "actions": [{"kind": "discard"}],
}


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path, people=("alice", "bob")) as asked:
        yield asked


@pytest.fixture
async def shown(api):
    """The list behind `SCRIPT`."""
    await api.ask("POST", "/v1/sieve-scripts", {"name": "mine", "content": SCRIPT, "is_active": True})
    return (await api.ask("GET", PATH)).json()


async def append(api, raw, folder="INBOX"):
    return (await api.ask("POST", "/v1/messages", {"raw": raw, "folder": folder})).json()["id"]


def names(answer):
    assert answer.status == 200, answer.body
    return [entry["name"] for entry in answer.json()["entries"]]


async def test_a_script_is_shown_as_rules(api, shown):
    check_golden("filter_rules", shown)


async def test_what_is_shown_can_be_sent_back(api, shown):
    def given(rule):
        rule = rule | {"conditions": [{**each} for each in rule["conditions"]]}
        for condition in rule["conditions"]:
            del condition["text"]
        rule["actions"] = [{key: value for key, value in each.items() if key != "does"} for each in rule["actions"]]
        return rule

    entries = [
        {"number": entry["number"]} | ({"rule": given(entry["rule"])} if entry["rule"] else {})
        for entry in shown["entries"]
    ]
    answer = await api.ask("PUT", PATH, {"version": shown["version"], "entries": entries})
    assert answer.json() == shown
    (script,) = (await api.ask("GET", "/v1/sieve-scripts")).json()
    assert script["content"] == SCRIPT


async def test_rules_are_added_changed_moved_and_deleted(api, shown):
    answer = await api.ask("POST", PATH, {"version": shown["version"], "rule": NOISE})
    assert names(answer) == ["Bills", "Away", "Noise"]
    assert answer.json()["entries"][2]["rule"]["conditions"][0]["part"] == "address"
    answer = await api.ask("POST", f"{PATH}/3/move", {"version": answer.json()["version"], "to": 1})
    assert names(answer) == ["Noise", "Bills", "Away"]
    answer = await api.ask("PUT", f"{PATH}/1", {"version": answer.json()["version"], "is_on": False})
    assert answer.json()["entries"][0]["rule"]["is_on"] is False
    rule = NOISE | {"name": "Loud", "is_on": True}
    answer = await api.ask("PUT", f"{PATH}/1", {"version": answer.json()["version"], "rule": rule})
    assert names(answer) == ["Loud", "Bills", "Away"]
    answer = await api.ask("DELETE", f"{PATH}/3?version={answer.json()['version']}")
    assert names(answer) == ["Loud", "Bills"]
    assert (await api.ask("GET", PATH)).json() == answer.json()
    assert names(await api.ask("GET", PATH, by="bob@example.test")) == []


async def test_who_was_overtaken_gets_412(api, shown):
    version = shown["version"]
    await api.ask("POST", PATH, {"version": version, "rule": NOISE})
    for method, path, body in (
        ("PUT", PATH, {"version": version, "entries": []}),
        ("POST", PATH, {"version": version, "rule": NOISE}),
        ("PUT", f"{PATH}/1", {"version": version, "is_on": False}),
        ("POST", f"{PATH}/1/move", {"version": version, "to": 2}),
        ("DELETE", f"{PATH}/1?version={version}", None),
    ):
        answer = await api.ask(method, path, body)
        assert (answer.status, "changed meanwhile" in answer.message) == (412, True), path


async def test_what_cannot_be_is_refused_with_words(api, shown):
    version = shown["version"]
    for body, words in (
        ({"rule": {"name": "nothing"}}, "give it an action"),
        ({"rule": NOISE | {"name": "a\r\nredirect"}}, "no line ends"),
        ({"rule": NOISE | {"actions": [{"kind": "redirect", "text": "nobody"}]}}, "cannot be an address"),
        ({"rule": NOISE | {"conditions": [{"field": "subject", "match": "over"}]}}, "compares sizes"),
    ):
        answer = await api.ask("POST", PATH, {"version": version} | body)
        assert (answer.status, words in answer.message) == (400, True), answer.body
    for body in ({}, {"is_on": True, "rule": NOISE}):
        assert (await api.ask("PUT", f"{PATH}/1", {"version": version} | body)).status == 400
    assert (await api.ask("PUT", f"{PATH}/2", {"version": version, "is_on": False})).status == 400
    assert (await api.ask("PUT", f"{PATH}/x", {"version": version, "is_on": False})).status == 404
    assert (await api.ask("PUT", PATH, {"version": version, "entries": [{"number": 1}]})).status == 400
    assert (await api.ask("GET", PATH)).json() == shown


async def test_rules_are_tried_on_a_message_and_on_a_mailbox(api, shown):
    await append(api, "From: noise@x.test\r\nSubject: a\r\n\r\n")
    message_id = await append(api, "From: Bob <bob@x.test>\r\nSubject: A bill\r\n\r\n")
    (trial,) = (await api.ask("POST", f"{PATH}/dry-run", {"message_id": message_id})).json()
    assert (trial["message_id"], trial["sender"], trial["mailboxes"]) == (message_id, "Bob <bob@x.test>", ["Archive"])
    assert trial["does"] == ["goes into Archive, marked \\Seen"]
    assert trial["reasons"][0]["because"] == ["Subject contains “bill”", "it is not larger than 1 MiB"]
    assert trial["reasons"][0]["ends"]
    entries = [{"rule": NOISE}, {"number": 2}]
    tried = (await api.ask("POST", f"{PATH}/dry-run", {"entries": entries, "limit": 2})).json()
    assert [(each["subject"], each["does"][0]) for each in tried] == [
        ("A bill", "stays in INBOX"),
        ("a", "is thrown away"),
    ]
    assert (await api.ask("GET", PATH)).json() == shown
    assert (await api.ask("POST", f"{PATH}/dry-run", {"mailbox": "Nowhere"})).status == 404


async def test_a_rule_is_made_from_a_message(api):
    message_id = await append(api, "From: Bob <bob@x.test>\r\nSubject: Re: A bill\r\n\r\n", "Archive")
    made = (await api.ask("GET", f"{PATH}/suggestion?message_id={message_id}")).json()
    check_golden("filter_suggestion", made)
    assert made["rule"]["conditions"][0] == made["conditions"][0]


async def test_attack_092_others_messages_are_not_there(api):
    message_id = await append(api, "From: bob@x.test\r\nSubject: secret\r\n\r\n", "Archive")
    by = "bob@example.test"
    asked = await api.ask("POST", f"{PATH}/dry-run", {"message_id": message_id}, by=by)
    suggested = await api.ask("GET", f"{PATH}/suggestion?message_id={message_id}", by=by)
    for answer in (asked, suggested):
        assert answer.status == 404
        assert b"secret" not in answer.body
