"""The benchmark: our own error and capacity against the known schedule, beside other clients, in one run."""
