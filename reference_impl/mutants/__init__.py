"""The broken servers that prove the checks, and the unusual ones that must not be flagged."""

from reference_impl.mutants import answers, identity, memory, money, promises, retirement, streams, variants

SUBJECTS = (
    *streams.MUTANTS,
    *answers.MUTANTS,
    *promises.MUTANTS,
    *identity.MUTANTS,
    *memory.MUTANTS,
    *money.MUTANTS,
    *retirement.MUTANTS,
    *variants.VARIANTS,
    *identity.VARIANTS,
    *memory.VARIANTS,
    *money.VARIANTS,
)
