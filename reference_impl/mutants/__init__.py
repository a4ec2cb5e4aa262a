"""The broken servers that prove the checks, and the unusual ones that must not be flagged."""

from reference_impl.mutants import (
    agents,
    answers,
    confidence,
    identity,
    memory,
    money,
    promises,
    retirement,
    sockets,
    streams,
    variants,
)

SUBJECTS = (
    *streams.MUTANTS,
    *answers.MUTANTS,
    *promises.MUTANTS,
    *confidence.MUTANTS,
    *agents.MUTANTS,
    *sockets.MUTANTS,
    *identity.MUTANTS,
    *memory.MUTANTS,
    *money.MUTANTS,
    *retirement.MUTANTS,
    *variants.VARIANTS,
    *confidence.VARIANTS,
    *agents.VARIANTS,
    *sockets.VARIANTS,
    *identity.VARIANTS,
    *memory.VARIANTS,
    *money.VARIANTS,
)
