"""PostgreSQL by logical decoding (pgoutput): a gap-free snapshot, then every committed change in order."""

from adapters.postgres.adapter import PostgresAdapter

__all__ = ["PostgresAdapter"]
