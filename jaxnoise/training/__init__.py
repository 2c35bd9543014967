"""How runs are made: recipes, one run as a pure function, and sweeps of many."""
