-- Close the windows of these counters that are over at p_at, and open the ones p_at lies in. The limits, too, are as
-- of then.
--
-- The caller holds the row locks. A window never begins before the last one has ended, so a hold is counted in
-- exactly one window however zones and clocks are changed. What a closed window still holds stays with it.
create or replace function sark.roll_v1(p_org text[], p_account text[], p_at timestamptz[]) returns void
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
begin
  insert into sark.period_history (org, account, period, starts_at, ends_at, spent, held)
  select c.org, c.account, w.period, w.starts_at, w.ends_at, w.spent, w.held
  from unnest(p_org, p_account, p_at) k(org, account, at)
  join sark.counters c on c.org = k.org and c.account = k.account
  cross join lateral (values
    ('day', c.day_starts_at, c.day_ends_at, c.day_spent, c.day_held),
    ('month', c.month_starts_at, c.month_ends_at, c.month_spent, c.month_held)
  ) w(period, starts_at, ends_at, spent, held)
  where k.at >= w.ends_at;

  update sark.counters c set
    day_starts_at = greatest(c.day_ends_at, d.starts_at), day_ends_at = d.ends_at, day_spent = 0, day_held = 0,
    day_limit_enforced = case c.enforcement when 'hard' then c.day_limit + c.day_extra end
  from unnest(p_org, p_account, p_at) k(org, account, at)
  join sark.counters o on o.org = k.org and o.account = k.account
  cross join lateral sark.window_v1(k.at, o.timezone, 'day') d
  where c.org = k.org and c.account = k.account and k.at >= c.day_ends_at;

  update sark.counters c set
    month_starts_at = greatest(c.month_ends_at, m.starts_at), month_ends_at = m.ends_at, month_spent = 0,
    month_held = 0, month_limit_enforced = case c.enforcement when 'hard' then c.month_limit + c.month_extra end
  from unnest(p_org, p_account, p_at) k(org, account, at)
  join sark.counters o on o.org = k.org and o.account = k.account
  cross join lateral sark.window_v1(k.at, o.timezone, 'month') m
  where c.org = k.org and c.account = k.account and k.at >= c.month_ends_at;

  perform sark.refresh_limits_v1(array_agg(k.org), array_agg(k.account), array_agg(k.at))
  from unnest(p_org, p_account, p_at) k(org, account, at)
  join sark.counters c on c.org = k.org and c.account = k.account
  where k.at >= c.limits_until
    or c.day_limit_enforced < c.day_limit + c.day_extra or c.month_limit_enforced < c.month_limit + c.month_extra
  having count(*) > 0;
end $$;
