"""The instrument: probes that record evidence, checks that judge it, verdicts that say why."""

__version__ = "0.1.0"
