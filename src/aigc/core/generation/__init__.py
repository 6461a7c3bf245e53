"""Prompts and a checkpoint into samples."""
