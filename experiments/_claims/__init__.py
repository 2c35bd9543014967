"""The parts of `claims.py`: plan, runs, files, scores, rules, claims and page."""
