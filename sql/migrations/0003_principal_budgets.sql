-- Budgets of principals in USD, as of now, for reports and dashboards. A look: nothing is locked or changed.

create view sark.principal_budgets as
select
  c.org,
  substr(c.account, length(c.org) + length('/principal/') + 1) as principal_id,
  a.parent,
  c.enforcement,
  c.timezone,
  'USD'::text as currency,
  c.day_limit / 1e9::numeric as daily_budget,
  c.month_limit / 1e9::numeric as monthly_budget,
  case when clock_timestamp() < c.day_ends_at then c.day_spent else 0 end / 1e9::numeric as daily_spent,
  case when clock_timestamp() < c.day_ends_at then c.day_held else 0 end / 1e9::numeric as daily_held,
  case when clock_timestamp() < c.month_ends_at then c.month_spent else 0 end / 1e9::numeric as monthly_spent,
  case when clock_timestamp() < c.month_ends_at then c.month_held else 0 end / 1e9::numeric as monthly_held
from sark.counters c
join sark.accounts a on a.org = c.org and a.account = c.account
where starts_with(c.account, c.org || '/principal/');
