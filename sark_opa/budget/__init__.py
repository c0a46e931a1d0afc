"""What the ledger promises, and judgements from where accounts stand; pure."""
