"""Steps and redirects of a delivery."""

import pytest

from mailstead.sieve.budget import Budget
from mailstead.sieve.errors import BudgetSpent


def test_a_spent_budget_stays_spent():
    budget = Budget(steps_max=3)
    budget.spend(3)
    with pytest.raises(BudgetSpent):
        budget.spend(1)
    with pytest.raises(BudgetSpent):
        budget.spend(1)
    assert budget.steps_used == 3


def test_redirects_are_counted_apart():
    budget = Budget(redirects_max=1)
    budget.spend_redirect()
    with pytest.raises(BudgetSpent):
        budget.spend_redirect()
    assert budget.steps_used == 0
