"""Texts that are generated into texts that say so: labels after GB 45438-2025 and the EU AI Act, in the formats people publish."""
