"""A server whose schedule is known: what a load tool reports can be held against what really happened."""
