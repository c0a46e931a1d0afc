-- Write down in these counters what raises add to their limits at p_at, and until when.
--
-- The caller holds the row locks, and has rolled the windows. What a window's admissions are held against is the
-- highest limit enforced in it, so a raise counts for the whole of each window in which it was in force.
create or replace function sark.refresh_limits_v1(p_org text[], p_account text[], p_at timestamptz[]) returns void
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
begin
  update sark.counters c set
    day_extra = e.day_extra, month_extra = e.month_extra, limits_until = e.until,
    day_limit_enforced = case
      when c.enforcement <> 'hard' or c.day_limit is null then null
      when c.day_spent = 0 and c.day_held = 0 then c.day_limit + e.day_extra
      when c.day_limit_enforced is not null then greatest(c.day_limit + e.day_extra, c.day_limit_enforced)
    end,
    month_limit_enforced = case
      when c.enforcement <> 'hard' or c.month_limit is null then null
      when c.month_spent = 0 and c.month_held = 0 then c.month_limit + e.month_extra
      when c.month_limit_enforced is not null then greatest(c.month_limit + e.month_extra, c.month_limit_enforced)
    end
  from unnest(p_org, p_account, p_at) k(org, account, at)
  cross join lateral sark.extras_v1(k.org, k.account, k.at) e
  where c.org = k.org and c.account = k.account;
end $$;
