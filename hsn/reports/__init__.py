"""Views: what people see - overlays, summary pages, charts, tables."""
