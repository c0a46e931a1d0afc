-- Which days of the transfers with a peer may have changed since p_since, a transaction number: some were settled, or
-- the summaries of the days around them say something else than before, as after a re-rating. Answers
-- [xid, [day, …], [[day, charges, actual_nanousd], …]]: everything before xid has then been looked at, and what the
-- summaries say now where it is new.
--
-- One statement, so one snapshot. A number that lies ahead is from before a restore, where they begin anew. A transfer
-- and its charges may lie on different days: its day is UTC and the host's, theirs the org's. Days whose charges are
-- no longer kept cannot be summed up again, so they stay as they were stated.
create or replace function sark.federation_touched_v1(p_org text, p_peer text, p_since bigint) returns json
language sql stable
set enable_seqscan = off set jit = off as $$
  with mark as materialized (
    select xid, case when p_since > xid then 0 else p_since end as since
    from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xid) x
  ), changed as materialized (
    select d.day, d.charges, d.actual_nanousd
    from sark.daily_costs d
    left join sark.federation_totals s on s.org = d.org and s.peer = p_peer and s.day = d.day
    where d.org = p_org and d.dimension = 'tag' and d.key = 'federation.peer=' || p_peer
      and (d.charges, d.actual_nanousd) is distinct from (s.charges, s.actual_nanousd)
  ), touched as (
    select t.period
    from mark m join sark.federation_transfers t
      on t.org = p_org and t.xid >= m.since and t.peer = p_peer and t.state = 'settled'
    union
    select t.period
    from changed c join sark.federation_transfers t
      on t.org = p_org and t.period between c.day - 2 and c.day + 2 and t.peer = p_peer and t.state = 'settled'
  )
  select json_build_array(
    (select xid from mark),
    coalesce((
      select json_agg(t.period order by t.period) from touched t, sark.storage s
      where t.period > coalesce((nullif(s.charges_kept_from, '-infinity') at time zone 'UTC')::date + 1, '-infinity')
    ), '[]'),
    coalesce((select json_agg(json_build_array(c.day, c.charges, c.actual_nanousd)) from changed c), '[]')
  )
$$;
