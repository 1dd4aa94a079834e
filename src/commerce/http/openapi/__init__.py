"""The OpenAPI 3.1 document, read off the registry, one concern a module."""
