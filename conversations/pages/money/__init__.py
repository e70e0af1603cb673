"""The staff's pages about money: what was spent, on what, and within which budgets."""
