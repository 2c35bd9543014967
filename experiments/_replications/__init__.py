"""The parts of `replications.py`: what all have in common, and one result a module.

A module has ``scores(plan, runs)``, a table with a row a unit and a column a score, of
which the claims of replications.toml name theirs.
"""
