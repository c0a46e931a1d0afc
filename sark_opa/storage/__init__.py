"""The ledger on PostgreSQL: connections, migrations, the group-committing ledger, checks on a live database."""
