-- What two roles may do besides the one that owns the schema. To be run by the owner, after each migration:
--
--   sark_service  what `sark-opa serve` runs as: it holds, charges and sums up. It can neither edit nor delete a charge or
--                 an audit event, nor make tokens, nor change the schema or for how long charges are kept.
--   sark_reader   reports, dashboards and `sark-opa verify`: everything but secrets, and nothing is written.
--
-- `sark-opa database grants` prints it with other names.

grant usage on schema sark to sark_service, sark_reader;

-- The ledger.
grant select, insert, update on sark.accounts, sark.counters, sark.period_history, sark.limit_raises to sark_service;
grant select, insert, update, delete on sark.holds to sark_service;
grant select, insert on sark.cost_tracking, sark.audit_events, sark.price_books, sark.nested_teams to sark_service;
grant select, insert, update on sark.unpriced_calls to sark_service;
grant select on sark.access_tokens, sark.storage, sark.migrations to sark_service;
grant select, insert, update, delete on sark.plugins to sark_service;

-- Re-rating is a command of the owner; the service tells of it.
grant select on sark.reratings to sark_service;

-- Summaries. Working them out anew is the owner's.
grant select, insert, update on sark.daily_costs, sark.daily_estimate_errors, sark.tags, sark.tag_values to sark_service;
grant select, insert, update on sark.daily_groups to sark_service;
grant select, update, delete on sark.daily_groups_from to sark_service;
grant select, update on sark.fold_mark to sark_service;

-- Organisations that live elsewhere. Moving one is the owner's.
grant select on sark.org_moves, sark.parked_holds to sark_service;

-- The federation.
grant select, insert, update on sark.federation_transfers, sark.federation_chains, sark.federation_periods,
  sark.federation_totals to sark_service;
grant select, insert on sark.federation_members, sark.federation_statements, sark.federation_entries,
  sark.federation_evidence to sark_service;
grant select, insert, update, delete on sark.federation_waiting to sark_service;

-- Partitions ahead of time and retention need an owner: these two functions run as theirs, and do no more than that.
revoke all on function sark.keep_partitions_v1(integer, timestamptz), sark.drop_charges_v1(timestamptz) from public;
grant execute on function sark.keep_partitions_v1(integer, timestamptz), sark.drop_charges_v1(timestamptz) to sark_service;

-- Reports, dashboards, verify, `sark-opa migrate --verify`. Digests of tokens, plugins' configurations and keys of aliases are nobody's to read.
grant select on all tables in schema sark to sark_reader;
revoke select on sark.access_tokens, sark.plugins, sark.federation_members from sark_reader;
