"""Whole slides: plan, tasks, executors and results. `segment_slide` runs a net over one slide."""
