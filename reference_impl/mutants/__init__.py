"""The broken servers that prove the checks, and the unusual ones that must not be flagged."""

from reference_impl.mutants import (
    answers,
    connection,
    failures,
    interruptions,
    keys,
    lineage,
    openai_answers,
    openai_streams,
    openai_variants,
    promises,
    quotas,
    stream_faults,
    streams,
    unusual,
    variants,
)

SUBJECTS = (
    *streams.MUTANTS,
    *answers.MUTANTS,
    *promises.MUTANTS,
    *stream_faults.MUTANTS,
    *interruptions.MUTANTS,
    *connection.MUTANTS,
    *keys.MUTANTS,
    *quotas.MUTANTS,
    *failures.MUTANTS,
    *lineage.MUTANTS,
    *openai_streams.MUTANTS,
    *openai_answers.MUTANTS,
    *variants.VARIANTS,
    *unusual.VARIANTS,
    *openai_variants.VARIANTS,
)
