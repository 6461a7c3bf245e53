"""Trials of a stage with other values: what is tried, by whom, and what came of it."""
