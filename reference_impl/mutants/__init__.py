"""The broken servers that prove the checks, and the unusual ones that must not be flagged."""

from reference_impl.mutants import answers, identity, promises, streams, variants

SUBJECTS = (
    *streams.MUTANTS,
    *answers.MUTANTS,
    *promises.MUTANTS,
    *identity.MUTANTS,
    *variants.VARIANTS,
    *identity.VARIANTS,
)
