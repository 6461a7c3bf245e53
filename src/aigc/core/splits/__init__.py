"""Documents into train, validation and test."""
