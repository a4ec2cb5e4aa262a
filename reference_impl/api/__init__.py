"""The operations, one file per pattern. Each module has `operations(services)`: handlers by operationId."""
