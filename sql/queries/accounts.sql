-- name: edit_accounts
-- Edit several accounts in one step, all or none.
select sark.edit_accounts_v1(%(edits)s::jsonb, %(within)s, %(now)s);

-- name: take_time
-- Let one large step take longer than statements usually may; locks are waited for no longer than usual.
set local statement_timeout = '60s';

-- name: list_accounts
-- Settings of an account and all below it, or of every account, by name, after the one of a page before.
select sark.account_json_v1(a.org, a.account)
from sark.accounts a
where (%(org)s::text is null or a.org = %(org)s)
  and (%(account)s::text is null or %(account)s = any (a.path))
  and (%(after)s::text is null or (a.org, a.account) > (%(after_org)s, %(after)s))
order by a.org, a.account limit %(limit)s;

-- name: list_windows
-- Where an account and all below it stand, or every account, by name, after the one of a page before: each with its
-- counter, and the meters of its own quotas.
with page as (
  select a.org, a.account, a.parent, a.meters from sark.accounts a
  where (%(org)s::text is null or a.org = %(org)s)
    and (%(account)s::text is null or %(account)s = any (a.path))
    and (%(after)s::text is null or (a.org, a.account) > (%(after_org)s, %(after)s))
  order by a.org, a.account limit %(limit)s
), listed as (
  select array_agg(p.org order by p.org, p.account, n.name) as orgs,
    array_agg(n.name order by p.org, p.account, n.name) as names,
    array_agg(p.account order by p.org, p.account, n.name) as accounts,
    array_agg(p.parent order by p.org, p.account, n.name) as parents
  from page p
  cross join lateral (
    select p.account as name
    union all
    select m.meter from unnest(p.meters) m(meter) where split_part(m.meter, E'\x1f', 1) = p.account
  ) n
)
select l.accounts[w.ordinal], l.parents[w.ordinal], json_agg(json_build_array(
  w.account, w.enforcement, w.day_limit, w.day_spent, w.day_held, w.day_starts_at, w.day_ends_at,
  w.month_limit, w.month_spent, w.month_held, w.month_starts_at, w.month_ends_at
) order by w.ordinal)
from listed l
cross join lateral sark.windows_v1(l.orgs, l.names, coalesce(%(now)s::timestamptz, clock_timestamp())) w
group by 1, 2
order by min(w.ordinal);

-- name: plan_accounts
-- What a plan looks at: the accounts it names, and those of its orgs whose limits are not what they came up with, or
-- that have quotas of their own.
select sark.account_json_v1(a.org, a.account), %(within)s::text is null or %(within)s = any (a.path)
from sark.accounts a
join sark.counters c on c.org = a.org and c.account = a.account
join sark.accounts o on o.org = a.org and o.account = a.org
where a.org = any (%(orgs)s) and (
  a.account = any (%(names)s)
  or ((%(within)s::text is null or %(within)s = any (a.path)) and (
    case when starts_with(a.account, a.org || '/principal/')
      then (c.day_limit, c.month_limit)
        is distinct from (o.default_daily_limit_nanousd, o.default_monthly_limit_nanousd)
      else c.day_limit is not null or c.month_limit is not null end
      or a.account || E'\x1ftokens' = any (a.meters) or a.account || E'\x1fcalls' = any (a.meters)
  ))
)
order by a.org, a.account;

-- name: lies_within
-- Whether an account is registered at or below another one, or at all.
select true from sark.accounts
where org = %(org)s and account = %(account)s and (%(within)s::text is null or %(within)s = any (path));

-- name: standing
-- What is spent and held on these accounts now.
select w.account, w.day_spent + w.day_held, w.month_spent + w.month_held
from sark.windows_v1(%(orgs)s::text[], %(accounts)s::text[], coalesce(%(now)s::timestamptz, clock_timestamp())) w;

-- name: put_raise
-- Raise an account's limits for a while.
select sark.put_raise_v1(%(org)s, %(raise)s::jsonb, %(event)s::jsonb, %(now)s);

-- name: cancel_raise
-- End a raise before its time.
select sark.cancel_raise_v1(%(org)s, %(account)s, %(raise_id)s, %(cancelled_by)s, %(event)s::jsonb, %(now)s);

-- name: list_raises
-- Raises of an account and all below it, or of every account, the latest first; those that are over only when asked.
select sark.raise_json_v1(r)
from sark.limit_raises r
join sark.accounts a on a.org = r.org and a.account = r.account
where (%(org)s::text is null or r.org = %(org)s)
  and (%(account)s::text is null or %(account)s = any (a.path))
  and (%(ended)s or (r.cancelled_at is null and r.expires_at > coalesce(%(now)s::timestamptz, clock_timestamp())))
order by r.created_at desc, r.org, r.account, r.raise_id limit %(limit)s;
