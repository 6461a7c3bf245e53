"""Duplicates: documents that repeat each other, or an evaluation set, and which of them stays."""
