"""Prompts and a checkpoint into judged rows on disk: windows of samples, who writes them, what the rules say of them."""
