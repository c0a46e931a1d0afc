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
  v_moved boolean;
begin
  select sark.move_sums_v1(array_agg(k.org), array_agg(k.account), array_agg(k.freed), array_agg(k.spent),
    array_agg(k.earliest_at))
  into v_moved
  from (
    select h.org, l.account, min(h.charged_at) as earliest_at,
      sum(case when e.held then l.amount else 0 end)::bigint as freed, sum(e.spent)::bigint as spent
    from unnest(p_org, p_request, p_spent, p_held) e(org, request_id, spent, held)
    join sark.holds h on h.org = e.org and h.request_id = e.request_id
    cross join lateral unnest(h.path, h.amounts) l(account, amount)
    group by h.org, l.account
    order by h.org collate "C", l.account collate "C"
  ) k;
  if not v_moved then
    perform sark.move_past_v2(p_org, p_request, p_spent, p_held, null, null);
  end if;
end $$;
