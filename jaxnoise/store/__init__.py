"""Finished runs on disk: one SQLite file, which survives a kill and can be asked."""
