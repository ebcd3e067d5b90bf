"""Data sets: published ones as users have them on disk, and tissue drawn by program."""
