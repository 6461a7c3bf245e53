"""Documents into train, validation and test, and the proof that nothing leaks between them."""
