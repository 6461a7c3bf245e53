"""Measures: a document into a number, or a class, that bounds can judge."""
