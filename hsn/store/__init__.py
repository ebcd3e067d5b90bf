"""Run folders of whole slides: plan, lock, markers of finished tasks, parts and arrays."""
