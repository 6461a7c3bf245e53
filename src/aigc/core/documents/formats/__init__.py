"""One module per family of formats: each turns a file into rows as they stand there."""
