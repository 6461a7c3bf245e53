"""Edits: text into better text."""
