"""tests/attacks.md tells the truth: every row has its tests or a reason, and every test that carries a number is named."""

from architecture import attack_table

ROWS = [*range(1, 69), *range(70, 96), 97, 98, 105, 106, 109]


def test_every_row_is_in_the_table_and_has_a_test_or_a_reason():
    rows = attack_table.rows(attack_table.TABLE.read_text())
    assert sorted(set(ROWS) - set(rows)) == []
    assert [number for number, cell in rows.items() if not cell.strip()] == []


def test_the_table_names_the_tests_that_are_there():
    text = attack_table.TABLE.read_text()
    assert attack_table.rewritten(text) == text, "run: python tests/architecture/attack_table.py"


def test_every_numbered_test_has_its_row():
    rows = attack_table.rows(attack_table.TABLE.read_text())
    assert sorted(set(attack_table.tests_by_row()) - set(rows)) == []
