"""The broken servers that prove the checks, and the unusual ones that must not be flagged."""

from reference_impl.mutants import (
    answers,
    hooks,
    identity,
    memory,
    money,
    promises,
    retirement,
    streams,
    variants,
    work,
)

SUBJECTS = (
    *streams.MUTANTS,
    *answers.MUTANTS,
    *promises.MUTANTS,
    *work.MUTANTS,
    *hooks.MUTANTS,
    *identity.MUTANTS,
    *memory.MUTANTS,
    *money.MUTANTS,
    *retirement.MUTANTS,
    *variants.VARIANTS,
    *work.VARIANTS,
    *hooks.VARIANTS,
    *identity.VARIANTS,
    *memory.VARIANTS,
    *money.VARIANTS,
)
