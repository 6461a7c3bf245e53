"""A finished training stage into its model card: README.md in the model's folder, in the Hugging Face hub's format."""

from aigc.card.card import model_card, write_card
from aigc.card.facts import CardFacts

__all__ = ["CardFacts", "model_card", "write_card"]
