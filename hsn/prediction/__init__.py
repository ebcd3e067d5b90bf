"""Evidence: what a net saw and where, from its features and its head."""
