"""What a text has in common, word for word, with the documents that a model was trained on."""
