"""Pieces of documents into samples that the model learns from without any label of a human."""
