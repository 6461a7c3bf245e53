"""Batches and a model into a trained model."""
