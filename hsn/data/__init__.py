"""Data sets: public ones in their usual folder layouts, and synthetic tissue."""
