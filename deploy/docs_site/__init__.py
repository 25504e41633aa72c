"""What the documentation's site needs beyond Markdown: pages written from the code, and how mkdocs reads the rest."""
