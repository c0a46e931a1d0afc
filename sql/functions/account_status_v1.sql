-- Where an account and every ancestor stand, leaf first, and then the meters of its quotas; null for an account that is
-- not registered: a look.
create or replace function sark.account_status_v1(p_org text, p_account text, p_now timestamptz default null)
returns json language sql stable as $$
  select json_agg(json_build_array(
    w.account, w.enforcement, w.day_limit, w.day_spent, w.day_held, w.day_starts_at, w.day_ends_at,
    w.month_limit, w.month_spent, w.month_held, w.month_starts_at, w.month_ends_at
  ) order by w.ordinal)
  from sark.accounts a
  cross join lateral sark.windows_v1(
    array_fill(a.org, array[cardinality(a.path || a.meters)]), a.path || a.meters, coalesce(p_now, clock_timestamp())
  ) w
  where a.org = p_org and a.account = p_account
$$;
