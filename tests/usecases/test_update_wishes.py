"""Updates wished for on the page: what the service leaves, and what root takes of it."""

import json
import os

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings, Conflict, NotAllowed, PolicyRefused
from mailstead.usecases.audit import Unnoted
from mailstead.usecases.update_wishes import WISH_OCTETS_MAX, UpdateWishes, last_refusal, run_wanted, wish_of
from mailstead.usecases.updates import Outcome, UpdateFailed
from mailstead.wiring.systemd import WANTED_PATH
from mailstead.wiring.update_wishes import WishFile


class Updating:
    """Stands for `Updates`, which has tests of its own."""

    def __init__(self, wish, error=None, new="1.3.0"):
        self.ran, self._wish, self._error, self._new = [], wish, error, new

    def run(self, actor, wanted="", limit_s=60.0):
        assert not os.path.lexists(self._wish), "it is removed before anything begins"
        self.ran.append(wanted)
        if self._error:
            raise self._error
        return Outcome("1.2.0", self._new)


@pytest.fixture
def said():
    return []


@pytest.fixture
def place(tmp_path, said):
    (tmp_path / "data").mkdir()
    units = tmp_path / "units"
    units.mkdir()
    (units / WANTED_PATH).write_text(f"[Path]\nPathExists={tmp_path}/data/update-wanted\n")
    return WishFile(tmp_path / "data", said.append, units)


@pytest.fixture
def wish(tmp_path, place):
    return tmp_path / "data" / "update-wanted"


@pytest.fixture
def wishes(place, clock):
    return UpdateWishes(place, Unnoted(), clock, "1.2.0")


@pytest.mark.parametrize("version", ["", "1.3.0"])
def test_a_wish_is_left_and_done(wishes, place, wish, admin, version):
    wishes.leave(admin, version)
    assert wishes.waiting(admin).version == version
    assert [each.name for each in wish.parent.iterdir()] == [wish.name]
    updating = Updating(wish)
    assert run_wanted(admin, place, lambda: updating) == Outcome("1.2.0", "1.3.0")
    assert updating.ran == [version]
    assert wishes.waiting(admin) is None
    assert run_wanted(admin, place, lambda: updating) is None


def test_one_at_a_time_and_it_can_be_taken_back(wishes, wish, admin):
    wishes.leave(admin, "1.3.0")
    with pytest.raises(Conflict):
        wishes.leave(admin, "1.4.0")
    assert wishes.waiting(admin).version == "1.3.0"
    wishes.take_back(admin)
    wishes.take_back(admin)
    assert list(wish.parent.iterdir()) == []


@pytest.mark.parametrize(
    "version", ["1.2.0", "1.1.9", "x", "/tmp/evil.whl", "1.3.0\n", "٢.٠", "1." * 40 + "1", "--from"]
)
def test_attack_092_what_is_older_or_no_version_is_refused(wishes, wish, admin, version):
    with pytest.raises(BadSettings):
        wishes.leave(admin, version)
    assert not wish.exists()


def test_attack_092_only_administrators_of_the_server_wish(wishes, wish, place):
    stranger = Actor(None, None)
    for call in (wishes.leave, wishes.waiting, wishes.take_back, wishes.is_watched):
        with pytest.raises(NotAllowed):
            call(stranger)
    with pytest.raises(NotAllowed):
        run_wanted(stranger, place, lambda: Updating(wish))
    assert not wish.exists()


def test_a_machine_that_does_not_watch_this_folder_takes_no_wishes(place, tmp_path, clock, admin):
    (tmp_path / "units" / WANTED_PATH).write_text("[Path]\nPathExists=/elsewhere/update-wanted\n")
    with pytest.raises(PolicyRefused):
        UpdateWishes(place, Unnoted(), clock, "1.2.0").leave(admin)


def link(wish):
    other = wish.parent.parent / "other"
    other.write_bytes(json.dumps({"version": "9.0", "who": "x", "at": "2026-01-01T00:00:00+00:00"}).encode())
    wish.symlink_to(other)


@pytest.mark.parametrize(
    "lay",
    [
        link,
        os.mkfifo,
        lambda wish: wish.write_bytes(b" " * (WISH_OCTETS_MAX + 1)),
        lambda wish: wish.write_bytes(b'{"version": "/tmp/evil.whl", "who": "x", "at": "2026-01-01T00:00:00+00:00"}'),
        lambda wish: wish.write_bytes(b"[" * WISH_OCTETS_MAX),
        lambda wish: wish.write_bytes(b"\xff"),
    ],
    ids=["link", "pipe", "large", "path", "deep", "octets"],
)
def test_attack_092_root_takes_nothing_but_a_small_plain_wish(place, wishes, wish, said, admin, lay):
    lay(wish)
    assert wishes.waiting(admin).version == ""
    updating = Updating(wish)
    with pytest.raises(BadSettings):
        run_wanted(admin, place, lambda: updating)
    assert updating.ran == []
    assert not os.path.lexists(wish)
    assert len(said) == 1


def test_an_update_that_fails_is_not_begun_again_and_is_told(wishes, place, wish, said, admin):
    wishes.leave(admin, "1.3.0")
    updating = Updating(wish, UpdateFailed("no such\nversion"))
    with pytest.raises(UpdateFailed):
        run_wanted(admin, place, lambda: updating)
    assert run_wanted(admin, place, lambda: updating) is None
    line = f"2026-01-01T00:00:00Z {said[0]}"
    assert last_refusal([line]) == "no such version"
    assert last_refusal([line, "2026-01-01T01:00:00Z from 1.2.0 to 1.3.0"]) == ""


def test_a_newest_that_runs_already_is_told(wishes, place, wish, said, admin):
    wishes.leave(admin)
    run_wanted(admin, place, lambda: Updating(wish, new="1.2.0"))
    assert "nothing newer" in last_refusal([f"2026-01-01T00:00:00Z {said[0]}"])


def test_a_wish_says_what_and_who(clock):
    at = clock.now().isoformat()
    assert wish_of(json.dumps({"version": "1.3.0", "who": "a", "at": at}).encode()).who == "a"


def test_a_machine_that_cannot_update_at_all_does_not_begin_again_either(wishes, place, wish, said, admin):
    def make():
        raise BadSettings("backup.target is not set")

    wishes.leave(admin)
    with pytest.raises(BadSettings):
        run_wanted(admin, place, make)
    assert not wish.exists()
    assert len(said) == 1
