"""The federation: who its VOs are, what it runs where, and how a record's words map to them."""
