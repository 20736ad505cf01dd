"""The thirty forms themselves; that our ports refuse them: tests/attacks/test_relay.py."""

from mailstead.policy.relay_forms import FAR, foreign_recipients


def test_attack_012_there_are_thirty_different_forms():
    forms = foreign_recipients("example.test", "mx.example.test")
    assert len(set(forms)) == 30
    assert not [form for form in forms if "{" in form or "}" in form]
    assert sum(FAR in form.lower() for form in forms) >= 27
