"""What all tests share: skips fail in CI, no password in any log, hypothesis profiles."""

import os

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "quick", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile(
    "long",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("long" if "FUZZ_EXAMPLES" in os.environ else "quick")


def pytest_collection_modifyitems(config, items):
    """`make fuzz` runs the property tests, and only them, with many examples."""
    if "FUZZ_EXAMPLES" in os.environ:
        chosen = [item for item in items if getattr(getattr(item, "obj", None), "is_hypothesis_test", False)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """`--dist loadfile`: tests of a file share servers, and all tests with containers one engine, so one worker has them.

    `loadgroup` would be the way to say so, but pytest-xdist 3.8 cannot mark tests of pytest 9.2: it would mix them.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrEngine(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "containers" if nodeid.startswith("tests/containers/") else super()._split_scope(nodeid)

    return ByFileOrEngine(config, log)


SECRET_MARK = "pw-never-in-a-log"
"""Tests use passwords that begin with this, so that a leak can be seen."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI counts as a failure: {report.longrepr}"


@pytest.fixture(autouse=True)
def _log_belongs_to_one_test(monkeypatch):
    """Whatever a command sets up for the log ends with its test: loggers are not cached, so none keeps a closed stderr."""
    configure = structlog.configure
    monkeypatch.setattr(
        structlog, "configure", lambda **terms: configure(**{**terms, "cache_logger_on_first_use": False})
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_password_in_logs(capfd):
    yield
    _, err = capfd.readouterr()
    assert SECRET_MARK not in err, "a password appears in the log"
