"""500 rules in the forms that calendar programs offer, compared with ical.js (Mozilla's).

It shares nothing with dateutil or with us. Rules of the other test (tests/pim) are too odd for it: it takes BYSETPOS of
months only, no BYHOUR and the like of longer rules, and seeks for minutes in others.
"""

import json
import os
import subprocess
from itertools import islice
from pathlib import Path

import pytest

from mailstead.pim.rule import Budget, occurrences, parse_rule
from pim.rules import COUNT, RULES_BY_PEOPLE

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".test-tools"
SCRIPT = """
import { createRequire } from "node:module";
const require = createRequire(process.env.TEST_TOOLS + "/");
const module = require("ical.js");
const ICAL = module.default ?? module;
const [rules, count] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const vm = require("node:vm");
const script = new vm.Script(`(() => {
  const iterator = ICAL.Recur.fromString(rule).iterator(ICAL.Time.fromString(start));
  const found = [];
  for (let next; found.length < count && (next = iterator.next()); ) found.push(next.toString());
  return found;
})()`);
// A limit from outside: some rules it seeks for minutes.
const results = rules.map(([rule, start]) => {
  try { return script.runInNewContext({ ICAL, rule, start, count }, { timeout: 300 }); }
  catch (error) { return "error: " + error.message; }
});
console.log(JSON.stringify(results));
"""


def test_rules_give_what_ical_js_gives(need, tmp_path):
    node = need("node")
    if not (TOOLS / "node_modules" / "ical.js").exists():
        pytest.skip("ical.js is not installed: run `make setup-tools`")
    script = tmp_path / "rules.mjs"
    script.write_text(SCRIPT)
    asked = [(rule, start.isoformat()) for rule, start in RULES_BY_PEOPLE]
    done = subprocess.run(
        [node, str(script)],
        input=json.dumps([asked, COUNT]),
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "TEST_TOOLS": str(TOOLS)},
    )
    assert done.returncode == 0, done.stderr
    assert len(RULES_BY_PEOPLE) == 500
    for (text, start), theirs in zip(RULES_BY_PEOPLE, json.loads(done.stdout), strict=True):
        rule = parse_rule(text)
        until = rule.until.local if rule.until is not None else None
        ours = [each.isoformat() for each in islice(occurrences(rule, start, Budget(2_000_000), until=until), COUNT)]
        assert ours == theirs, (text, start)
