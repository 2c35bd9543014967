"""The parts of `claims.py`: plan, runs, scores, rules, the claims, and the page."""
