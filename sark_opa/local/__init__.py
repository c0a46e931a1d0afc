"""The whole stack on one machine: an embedded PostgreSQL, service processes, OPA."""
