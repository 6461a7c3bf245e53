"""Files into tables of documents, and back."""
