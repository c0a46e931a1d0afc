-- What raises add to an account's limits, beside the limits in its counter: whoever holds money compares one row.

alter table sark.counters
  add column day_extra sark.amount not null default 0,    -- what the raises in force add, until limits_until
  add column month_extra sark.amount not null default 0,
  -- When the next raise begins or ends. Whoever comes first after it works the extras out anew, as with a window that
  -- is over: a raise ends exactly, and no job has to run for it.
  add column limits_until timestamptz not null default 'infinity';

-- The same view, of limits as they are with raises.
create or replace view sark.principal_budgets as
select
  c.org,
  substr(c.account, length(c.org) + length('/principal/') + 1) as principal_id,
  a.parent,
  c.enforcement,
  c.timezone,
  'USD'::text as currency,
  (c.day_limit + e.day_extra) / 1e9::numeric as daily_budget,
  (c.month_limit + e.month_extra) / 1e9::numeric as monthly_budget,
  case when clock_timestamp() < c.day_ends_at then c.day_spent else 0 end / 1e9::numeric as daily_spent,
  case when clock_timestamp() < c.day_ends_at then c.day_held else 0 end / 1e9::numeric as daily_held,
  case when clock_timestamp() < c.month_ends_at then c.month_spent else 0 end / 1e9::numeric as monthly_spent,
  case when clock_timestamp() < c.month_ends_at then c.month_held else 0 end / 1e9::numeric as monthly_held
from sark.counters c
join sark.accounts a on a.org = c.org and a.account = c.account
cross join lateral (
  select
    coalesce(sum(r.day_extra_nanousd), 0)::bigint as day_extra,
    coalesce(sum(r.month_extra_nanousd), 0)::bigint as month_extra
  from sark.limit_raises r
  where r.org = c.org and r.account = c.account and r.cancelled_at is null
    and r.starts_at <= clock_timestamp() and clock_timestamp() < r.expires_at
) e
where starts_with(c.account, c.org || '/principal/');
