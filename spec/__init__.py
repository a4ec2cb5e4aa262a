"""The contract: the OpenAPI 3.2 document, its projections, the requirement catalogue and the error codes."""
