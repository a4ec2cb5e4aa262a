"""What decides the exit code: which verdicts fail a run, what a profile demands, what is waived or known already."""
