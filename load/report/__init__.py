"""The report of a load run: one file per format, all written from one outcome."""
