-- name: fold
-- Bring new charges into the summaries.
select sark.fold_v1(%(rows_max)s::integer);

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
select s.tier, s.keep_charges_days, s.compress_after_days, nullif(s.charges_kept_from, '-infinity'), m.folded_at,
  greatest(0, extract(epoch from clock_timestamp() - m.folded_at))::double precision as fold_age_s,
  (select count(*) from (
    select from sark.cost_tracking t where t.xid >= m.xid and t.recorded_at >= m.recorded_from limit 100000
  ) r) as unfolded_rows,
  (select extversion from pg_extension where extname = 'timescaledb') as timescaledb
from sark.storage s, sark.fold_mark m;

-- name: keep_charges_days
-- Set for how long charges are kept; null: for ever.
update sark.storage set keep_charges_days = %(days)s::integer;
