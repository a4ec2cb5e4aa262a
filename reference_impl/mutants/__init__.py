"""The broken servers that prove the checks, and the unusual ones that must not be flagged."""

from reference_impl.mutants import answers, memory, promises, streams, variants

SUBJECTS = (
    *streams.MUTANTS,
    *answers.MUTANTS,
    *promises.MUTANTS,
    *memory.MUTANTS,
    *variants.VARIANTS,
    *memory.VARIANTS,
)
