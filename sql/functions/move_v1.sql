-- Let go of what holds have set aside, and book what they cost, at every level and in the window each was taken in.
--
-- Budgets only: quotas stay as they are, sark.move_v2 moves both.
--
-- The caller holds the locks of these hold rows, and has changed neither path nor amounts. p_spent is added to what is
-- spent; p_held says whether the hold's amounts are still set aside. The same counter may be met by many holds: amounts
-- are summed first, so that each row is updated once.
create or replace function sark.move_v1(p_org text[], p_request text[], p_spent bigint[], p_held boolean[])
returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_rows tid[];               -- the counters, and what becomes free and spent in each
  v_freed bigint[];
  v_spent bigint[];
  v_past boolean;             -- a hold was taken in a window that is over
  v_updated bigint;
begin
  select array_agg(c.ctid), array_agg(k.freed), array_agg(k.spent),
    bool_or(k.earliest_at < c.day_starts_at or k.earliest_at < c.month_starts_at)
  into v_rows, v_freed, v_spent, v_past
  from (
    select h.org, l.account, min(h.charged_at) as earliest_at,
      sum(case when e.held then l.amount else 0 end)::bigint as freed, sum(e.spent)::bigint as spent
    from unnest(p_org, p_request, p_spent, p_held) e(org, request_id, spent, held)
    join sark.holds h on h.org = e.org and h.request_id = e.request_id
    cross join lateral unnest(h.path, h.amounts) l(account, amount)
    group by h.org, l.account
    order by h.org collate "C", l.account collate "C" desc
  ) k
  cross join lateral (
    select s.*, s.ctid from sark.counters s where s.org = k.org and s.account = k.account for no key update
  ) c;

  if v_past then
    perform sark.move_past_v2(p_org, p_request, p_spent, p_held, null, null);
    return;
  end if;
  update sark.counters c set
    day_held = c.day_held - k.freed, day_spent = c.day_spent + k.spent,
    month_held = c.month_held - k.freed, month_spent = c.month_spent + k.spent
  from unnest(v_rows, v_freed, v_spent) k(row, freed, spent)
  where c.ctid = k.row;
  get diagnostics v_updated = row_count;
  if v_updated <> cardinality(v_rows) then  -- never, since they are locked; but no charge may count nowhere
    raise exception 'counters have moved while they were locked' using errcode = 'serialization_failure';
  end if;
end $$;
