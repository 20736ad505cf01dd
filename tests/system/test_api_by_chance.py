"""The API against its own document, by schemathesis: single requests and chains of them, as administrator and as owner.

Seeds are fixed, so that a failure comes again. Every answer has to be one that the document names, in the shape that it
names, and none is a 5xx. Backups are left out, as each would copy the house.
"""

import re
import subprocess
from pathlib import Path

import pytest

from system.api import ApiServer
from system.server import ALICE, PASSWORD

pytestmark = pytest.mark.full

TOOLS = Path(__file__).resolve().parents[2] / ".test-tools"
SECONDS = 60
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    server = ApiServer(tmp_path_factory.mktemp("api"))
    server.prepare()
    server.start()
    yield server
    code = server.stop()
    assert server.check() == []
    assert code == 0, server.log()[-2000:]
    assert [line for line in server.log().splitlines() if '"level": "error"' in line] == []


@pytest.mark.parametrize("who", ["administrator", "owner"])
def test_every_answer_is_one_that_the_document_names_and_none_is_a_bug(api, tmp_path, who):
    program = TOOLS / "schemathesis" / "bin" / "schemathesis"
    if not program.exists():
        pytest.skip("schemathesis is not installed: run `make setup-tools`")
    pair = f"{api.token}:" if who == "administrator" else f"{ALICE}:{PASSWORD}"
    done = subprocess.run(
        [
            *(str(program), "run", f"{api.url}/v1/openapi.json", "--auth", pair, "--checks", CHECKS),
            *("--phases", "coverage,fuzzing,stateful", "--max-time", str(SECONDS), "--max-examples", "10"),
            *("--seed", "1", "--generation-deterministic", "--no-shrink", "--continue-on-failure"),
            *("--exclude-path-regex", "^/v1/backups", "--warnings", "off", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    for pattern, least in ((r"Tested: (\d+)", 150), (r"(\d+) generated", 1000)):
        assert int(re.search(pattern, done.stdout)[1]) >= least, done.stdout[-2000:]
