"""The docs, and what makes the generated ones."""
