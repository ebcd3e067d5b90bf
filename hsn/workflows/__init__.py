"""The functions behind `hsn.fit`, `hsn.segment`, `hsn.evaluate` and `hsn.select_patches`, and behind the commands."""
