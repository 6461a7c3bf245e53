"""Predictions and what they should have been into figures: metrics, their confidence intervals, a result beside its baseline."""
