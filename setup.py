"""The optional extension, and nothing else: every setting stands in pyproject.toml."""

from setuptools import setup

setup()
