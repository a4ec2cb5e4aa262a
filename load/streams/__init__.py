"""A stream as it came: its events with their times, its facts by the dialect, and what it breaks."""
