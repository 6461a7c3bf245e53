"""One file per command; stages meet on disk and never import each other."""
