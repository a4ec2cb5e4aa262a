"""The broken servers that prove the checks, and the unusual ones that must not be flagged."""

from reference_impl.mutants import agents, answers, confidence, promises, sockets, streams, variants

SUBJECTS = (
    *streams.MUTANTS,
    *answers.MUTANTS,
    *promises.MUTANTS,
    *confidence.MUTANTS,
    *confidence.VARIANTS,
    *agents.MUTANTS,
    *agents.VARIANTS,
    *sockets.MUTANTS,
    *sockets.VARIANTS,
    *variants.VARIANTS,
)
