"""The order of an update and its way back: failures and cuts at each step leave the mail and a version that can read it."""

from contextlib import contextmanager, nullcontext
from itertools import count

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings, NotAllowed
from mailstead.ports.versions import MachineFailed
from mailstead.usecases.updates import UpdateFailed, Updates, order_of

ADMIN = Actor(None, None, is_admin=True)


class Cut(BaseException):
    """The power is gone, or the process killed."""


class Host:
    """A machine in memory. Data know the newest version that has opened them; older ones cannot read them any more."""

    def __init__(self, newest="1.1.0", goes_wrong=None, at=-1):
        self.newest, self.goes_wrong, self.at = newest, goes_wrong, at
        self.version, self.serving, self.trial = "1.0.0", "1.0.0", ""
        self.data = {"format": "1.0.0", "mail": ["before"]}
        self.aside, self.snapshots, self.journal = [], {}, None
        self.fetched, self.installed = "", {"1.0.0", "0.9.0"}
        self.verbs, self.said, self.is_shielded = [], [], False
        self.numbers = count(1)
        self.not_well = ""

    def _step(self, verb):
        self.verbs.append(verb)
        if len(self.verbs) - 1 == self.at:
            raise self.goes_wrong(verb)

    def _open(self, version):
        if order_of(version) < order_of(self.data["format"]):
            raise MachineFailed(f"{version} cannot read {self.data['format']}")
        self.data["format"] = version

    def receive(self, text):
        assert self.serving
        self.data["mail"].append(text)

    def alone(self):
        return nullcontext()

    @contextmanager
    def uninterrupted(self):
        self.is_shielded = True
        yield
        self.is_shielded = False

    def say(self, text):
        self.said.append(text)

    def current(self):
        return self.version

    def is_serving(self):
        return bool(self.serving)

    def obtain(self, wanted):
        self._step("obtain")
        self.fetched = wanted or self.newest
        return self.fetched

    def install(self, version):
        self._step("install")
        assert version == self.fetched
        self.installed.add(version)

    def back_up(self, version):
        self._step("back_up")
        assert order_of(version) >= order_of(self.data["format"])
        name = f"snapshot-{next(self.numbers)}"
        self.snapshots[name] = {"format": self.data["format"], "mail": list(self.data["mail"])}
        return name

    def drill(self, version):
        self._step("drill")
        self.receive("during")  # until the stop, others write

    def stop_service(self):
        self._step("stop_service")
        assert self.is_shielded
        self.serving = ""

    def start_service(self):
        self._step("start_service")
        assert self.journal is None, "what is neither old nor new must not be served"
        assert not self.trial
        self._open(self.version)
        self.serving = self.version

    def note(self, underway):
        self._step("note")
        self.journal = underway

    def noted(self):
        return self.journal

    def note_failed(self, version):
        self.not_well = version

    def failed(self):
        return self.not_well

    def start_trial(self, version, limit_s):
        assert self.journal, "whoever comes after a cut has to know"
        assert not self.serving
        self._open(version)
        self.trial = version
        self._step("start_trial")

    def try_out(self, version, limit_s):
        self._step("try_out")

    def end_trial(self):
        self._step("end_trial")
        self.trial = ""

    def switch(self, version):
        assert not self.trial
        self.version = version
        self._step("switch")

    def put_aside(self):
        self._step("put_aside")
        assert not self.trial
        self.aside.append(self.data)
        self.data = {"format": "0", "mail": []}

    def restore(self, version, snapshot):
        assert not self.data["mail"], "a restore needs an empty folder"
        self.data = {"format": "0", "mail": ["half"]}
        self._step("restore")
        found = self.snapshots[snapshot]
        self.data = {"format": found["format"], "mail": list(found["mail"])}

    def remove_aside(self):
        self._step("remove_aside")
        self.aside = []

    def prune(self, kept):
        self._step("prune")
        self.installed &= kept


WAY = ["obtain", "install", "back_up", "drill", "stop_service", "back_up", "note", "start_trial", "try_out", "end_trial",
       "switch", "note", "start_service", "prune"]  # fmt: skip
BACK = ["end_trial", "put_aside", "restore", "switch", "note", "start_service", "remove_aside"]
MAIL = ["before", "during"]


def test_the_new_version_is_tried_before_it_serves_and_the_one_before_stays():
    host = Host()
    outcome = Updates(host).run(ADMIN)
    assert (outcome.old, outcome.new) == ("1.0.0", "1.1.0")
    assert host.verbs == WAY
    assert (host.serving, host.version, host.data["mail"], host.journal) == ("1.1.0", "1.1.0", MAIL, None)
    assert host.installed == {"1.0.0", "1.1.0"}


@pytest.mark.parametrize("at", range(WAY.index("stop_service")), ids=lambda at: WAY[at])
def test_what_fails_before_the_stop_has_changed_nothing(at):
    host = Host(goes_wrong=MachineFailed, at=at)
    with pytest.raises(UpdateFailed, match=r"othing was changed, and 1\.0\.0 goes on"):
        Updates(host).run(ADMIN)
    assert (host.serving, host.data["format"], host.data["mail"][0]) == ("1.0.0", "1.0.0", "before")
    assert host.verbs == WAY[: at + 1]
    assert host.failed() == ("1.1.0" if WAY[at] == "drill" else ""), "no network is no fault of the version"


@pytest.mark.parametrize("at", [WAY.index("stop_service"), 5, 6], ids=["stop", "last backup", "note"])
def test_without_a_last_backup_the_old_version_runs_again(at):
    host = Host(goes_wrong=MachineFailed, at=at)
    with pytest.raises(UpdateFailed, match=r"1\.0\.0 runs again"):
        Updates(host).run(ADMIN)
    assert (host.serving, host.data["mail"], host.data["format"]) == ("1.0.0", MAIL, "1.0.0")
    assert host.verbs == [*WAY[: at + 1], "start_service"]


@pytest.mark.parametrize("at", range(WAY.index("start_trial"), WAY.index("switch") + 1), ids=lambda at: WAY[at])
def test_a_version_that_is_not_well_goes_with_its_data(at):
    host = Host(goes_wrong=MachineFailed, at=at)
    with pytest.raises(UpdateFailed, match=r"1\.1\.0 was not well, and 1\.0\.0 runs again, with all mail"):
        Updates(host).run(ADMIN)
    assert host.verbs == WAY[: at + 1] + BACK
    assert (host.serving, host.version, host.data["mail"], host.aside) == ("1.0.0", "1.0.0", MAIL, [])
    host.at = -1
    assert Updates(host).run(ADMIN).new == "1.0.0", "the timer would stop the service each night, in vain"
    assert host.serving == "1.0.0"
    assert Updates(host).run(ADMIN, "1.1.0").new == "1.1.0"


def test_a_new_version_that_does_not_start_after_its_trial_keeps_the_data():
    host = Host(goes_wrong=MachineFailed, at=WAY.index("start_service"))
    with pytest.raises(UpdateFailed, match="the data are its own"):
        Updates(host).run(ADMIN)
    assert (host.version, host.data["format"], host.data["mail"]) == ("1.1.0", "1.1.0", MAIL)


@pytest.mark.parametrize("at", range(len(WAY)), ids=lambda at: f"{at}-{WAY[at]}")
def test_attack_107_after_a_cut_at_any_step_the_next_one_goes_on_or_back(at):
    host = Host(goes_wrong=Cut, at=at)
    with pytest.raises(Cut):
        Updates(host).run(ADMIN)
    was_noted = host.journal is not None
    host.trial = host.serving = ""  # a boot: nothing runs
    assert Updates(host).recover(ADMIN) == was_noted
    assert host.journal is None
    host.start_service()
    assert host.data["mail"] in (MAIL, ["before"] if at <= WAY.index("drill") else MAIL)
    assert Updates(host).run(ADMIN).new == "1.1.0"
    assert (host.serving, host.data["mail"][:1]) == ("1.1.0", ["before"])


@pytest.mark.parametrize("at", range(len(BACK)), ids=lambda at: BACK[at])
@pytest.mark.parametrize("goes_wrong", [Cut, MachineFailed])
def test_a_way_back_that_is_cut_off_is_gone_again(at, goes_wrong):
    host = Host(goes_wrong=MachineFailed, at=WAY.index("try_out"))
    begin = len(WAY[: host.at + 1])
    step = host._step

    def second(verb):
        step(verb)
        if len(host.verbs) - 1 == begin + at:
            raise goes_wrong(verb)

    host._step = second
    with pytest.raises((Cut, UpdateFailed, MachineFailed)):
        Updates(host).run(ADMIN)
    host._step = step
    host.trial = ""
    Updates(host).recover(ADMIN)
    host.start_service()
    assert (host.serving, host.version, host.data["mail"]) == ("1.0.0", "1.0.0", MAIL)


def test_an_update_that_was_cut_off_is_taken_back_by_the_next_one():
    host = Host(goes_wrong=Cut, at=WAY.index("try_out"))
    with pytest.raises(Cut):
        Updates(host).run(ADMIN)
    host.at = -1
    assert Updates(host).run(ADMIN).new == "1.1.0"
    assert host.data["mail"] == [*MAIL, "during"]


def test_a_service_that_stands_still_is_not_updated():
    host = Host()
    host.serving = ""
    with pytest.raises(UpdateFailed, match="start it first"):
        Updates(host).run(ADMIN)
    assert host.verbs == ["obtain"]


@pytest.mark.parametrize("wanted", ["0.9.9", "1.0.0rc1", "1.0.0.dev3"])
def test_attack_107_an_older_version_is_refused_before_anything_is_fetched(wanted):
    host = Host()
    with pytest.raises(BadSettings, match=r"older than 1\.0\.0, which runs"):
        Updates(host).run(ADMIN, wanted)
    assert host.verbs == []


def test_a_newest_that_is_older_is_refused_and_the_same_is_no_work():
    with pytest.raises(BadSettings, match="older"):
        Updates(Host(newest="0.9")).run(ADMIN)
    host = Host(newest="1.0")
    assert Updates(host).run(ADMIN).new == "1.0.0"
    assert Updates(host).run(ADMIN, "v1.0.0").new == "1.0.0"
    assert host.verbs == ["obtain"]


def test_only_administrators_update():
    for verb in (Updates(Host()).run, Updates(Host()).recover):
        with pytest.raises(NotAllowed):
            verb(Actor("someone", None))


def test_versions_are_ordered_as_python_packages_are():
    ordered = ["0.9", "1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.2", "1.10"]
    assert sorted(sorted(ordered, reverse=True), key=order_of) == ordered
    assert order_of("1.0.0") == order_of("v1") == order_of("1.0+local.3")
    for text in ("", "latest", "1.0-beta", "../1.0", "1.0 "):
        with pytest.raises(BadSettings):
            order_of(text)
