"""The document layer's engine: what MongoDB does for the repositories, on one SQLite file."""
