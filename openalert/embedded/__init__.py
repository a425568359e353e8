"""A real PostgreSQL and a real Valkey of our own, for development and tests: no installation, no fakes."""
