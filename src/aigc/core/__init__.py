"""The shared core: rooms that import to the left only, and never see the project file."""
