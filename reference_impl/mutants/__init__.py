"""The broken servers that prove the checks, and the unusual ones that must not be flagged."""

from reference_impl.mutants import answers, memory, money, promises, retirement, streams, variants

SUBJECTS = (
    *streams.MUTANTS,
    *answers.MUTANTS,
    *promises.MUTANTS,
    *memory.MUTANTS,
    *money.MUTANTS,
    *retirement.MUTANTS,
    *variants.VARIANTS,
    *memory.VARIANTS,
    *money.VARIANTS,
)
