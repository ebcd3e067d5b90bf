"""Reports: overlays, summary pages, charts and tables."""
