"""Edits, measures and duplicates: what changes, drops or keeps a document, and why."""
