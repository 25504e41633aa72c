"""The commands that the documentation prints: where they are, and what shows that they work."""
