-- name: fold
-- Bring new charges into the summaries.
select sark.fold_v1(%(rows_max)s::integer);

-- name: group_day
-- Group one more day of charges from before there were groups by several dimensions.
select sark.group_day_v1();

-- name: has_ungrouped
-- Whether there are such charges.
select exists (select from sark.daily_groups_from);

-- name: allow_minutes
-- In a transaction: let a statement that is bounded otherwise take its time.
set local statement_timeout = '10min';

-- name: rebuild_summaries
-- Work the summaries out anew.
select sark.rebuild_summaries_v1();

-- name: keep_partitions
-- Make partitions ahead of time.
select sark.keep_partitions_v1(%(weeks_ahead)s::integer, %(now)s);

-- name: drop_charges
-- Drop charges that are older than what is kept.
select sark.drop_charges_v1(%(now)s);

-- name: drop_holds
-- Delete holds whose charges were dropped.
select sark.drop_holds_v1(%(rows_max)s::integer);

-- name: storage
-- How this database keeps charges, and how far the summaries are behind.
select s.tier, s.keep_charges_days, nullif(s.charges_kept_from, '-infinity'), m.folded_at,
  u.rows, coalesce(extract(epoch from clock_timestamp() - u.since), 0)::double precision,
  (select extversion from pg_extension where extname = 'timescaledb')
from sark.storage s
cross join sark.fold_mark m
cross join lateral (
  -- Looked up beforehand, since a join would unpack every compressed chunk.
  select count(*) as rows, min(t.recorded_at) as since from sark.cost_tracking t
  where t.xid >= (select xid from sark.fold_mark) and t.recorded_at >= (select recorded_from from sark.fold_mark)
) u;

-- name: is_restored
-- Whether the mark's transaction ids are another server's, as after a dump and restore.
select m.server <> (select system_identifier::text from pg_control_system())
  or m.xid > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
from sark.fold_mark m;

-- name: keep_charges_days
-- Set for how long charges are kept; null: for ever.
update sark.storage set keep_charges_days = %(days)s::integer;
