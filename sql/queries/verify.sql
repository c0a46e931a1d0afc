-- Each query lists what breaks an invariant: which org, and how. All are read in one snapshot.

-- name: I1_admissions_within_limit
-- What a hard account admitted in its running windows stays within the limit enforced in them.
select c.org, format('%s: the %s window admitted %s of at most %s', c.account, w.period, a.admitted, w.enforced)
from sark.counters c
cross join lateral (values
  ('day', c.day_starts_at, c.day_limit_enforced), ('month', c.month_starts_at, c.month_limit_enforced)
) w(period, starts_at, enforced)
cross join lateral (
  select sum(case
    when h.state = 'held' or h.state = 'expired' and h.expiry_booked then l.amount
    when h.state = 'settled' and (not h.late or h.expiry_booked) then least(l.amount, h.booked)
    else 0
  end)::bigint as admitted
  from sark.holds h cross join lateral unnest(h.path, h.amounts) l(account, amount)
  where h.org = c.org and h.charged_at >= w.starts_at and l.account = c.account
) a
where w.enforced is not null and a.admitted > w.enforced;

-- name: I2_held_at_every_level
-- What a window holds is the sum of the holds taken in it that have not ended, at each level.
with held as (
  select h.org, l.account, h.charged_at, l.amount
  from sark.holds h cross join lateral unnest(h.path, h.amounts) l(account, amount)
  where h.state = 'held'
), windows as (
  select org, account, 'day' as period, day_starts_at as starts_at, day_ends_at as ends_at, day_held as held
  from sark.counters
  union all
  select org, account, 'month', month_starts_at, month_ends_at, month_held from sark.counters
  union all
  select org, account, period, starts_at, ends_at, held from sark.period_history
)
select w.org, format('%s: the %s window from %s holds %s, its holds sum up to %s',
  w.account, w.period, w.starts_at, w.held, coalesce(sum(h.amount), 0))
from windows w
left join held h on h.org = w.org and h.account = w.account and h.charged_at >= w.starts_at and h.charged_at < w.ends_at
group by w.org, w.account, w.period, w.starts_at, w.held
having w.held <> coalesce(sum(h.amount), 0);

-- name: I2_all_ancestors
-- The path of every hold leads from one account to the org, each level with its amount.
select h.org, format('%s: the path %s does not lead to the org, or has not one amount a level', h.request_id, h.path)
from sark.holds h
where h.path[cardinality(h.path)] <> h.org or cardinality(h.path) <> cardinality(h.amounts);

-- name: I3_ends_once
-- A hold that was settled has one charge, one that was charged at expiry one expiry entry, any other none.
select h.org, format('%s: %s, with %s charges, %s expiry entries and %s reversals',
  h.request_id, h.state, e.charges, e.expiries, e.reversals)
from sark.holds h
cross join lateral (
  select count(*) filter (where t.kind = 'charge') as charges, count(*) filter (where t.kind = 'expiry') as expiries,
    count(*) filter (where t.kind = 'reversal') as reversals
  from sark.cost_tracking t where t.org = h.org and t.request_id = h.request_id
) e
where (e.charges, e.expiries, e.reversals) is distinct from (
  (h.state = 'settled')::integer::bigint, h.expiry_booked::integer::bigint,
  (h.expiry_booked and h.state = 'settled')::integer::bigint
);

-- name: I4_one_effect
-- A request is charged what its hold says is booked, in one window, and no charge is without a hold.
select coalesce(t.org, h.org), format('%s: charges sum up to %s, booked is %s', coalesce(t.request_id, h.request_id),
  coalesce(t.actual, 0), coalesce(h.booked::text, 'unknown'))
from (
  select org, request_id, sum(actual_nanousd) as actual, min(time) as first_at, max(time) as last_at
  from sark.cost_tracking group by org, request_id
) t
full join sark.holds h on h.org = t.org and h.request_id = t.request_id
where h.booked is distinct from coalesce(t.actual, 0) or t.first_at <> h.charged_at or t.last_at <> h.charged_at;

-- name: I5_spent_is_charged
-- What a window has spent is the sum of its charges, at each level.
with charged as (
  select t.org, l.account, t.time, t.actual_nanousd
  from sark.cost_tracking t cross join lateral unnest(t.path) l(account)
), windows as (
  select org, account, 'day' as period, day_starts_at as starts_at, day_ends_at as ends_at, day_spent as spent
  from sark.counters
  union all
  select org, account, 'month', month_starts_at, month_ends_at, month_spent from sark.counters
  union all
  select org, account, period, starts_at, ends_at, spent from sark.period_history
)
select w.org, format('%s: the %s window from %s has spent %s, its charges sum up to %s',
  w.account, w.period, w.starts_at, w.spent, coalesce(sum(t.actual_nanousd), 0))
from windows w
left join charged t on t.org = w.org and t.account = w.account and t.time >= w.starts_at and t.time < w.ends_at
group by w.org, w.account, w.period, w.starts_at, w.spent
having w.spent <> coalesce(sum(t.actual_nanousd), 0);

-- name: I6_integers
-- No amount of money is kept in a type that can round.
select 'every org', format('%s.%s is %s', table_name, column_name, data_type)
from information_schema.columns
where table_schema = 'sark'
  and table_name in ('accounts', 'counters', 'holds', 'cost_tracking', 'period_history')
  and data_type in ('real', 'double precision', 'numeric', 'money');

-- name: I7_one_window
-- The windows of an account never overlap, and each hold, charged or not, lies in a day and a month of its whole path.
with windows as (
  select org, account, 'day' as period, day_starts_at as starts_at, day_ends_at as ends_at from sark.counters
  union all
  select org, account, 'month', month_starts_at, month_ends_at from sark.counters
  union all
  select org, account, period, starts_at, ends_at from sark.period_history
)
select org, format('%s: the %s window from %s begins before the one before it ends', account, period, starts_at)
from (
  select *, lag(ends_at) over (partition by org, account, period order by starts_at) as last_ends_at from windows
) w
where starts_at < last_ends_at
union all
select h.org, format('%s: taken at %s, in no %s window of %s', h.request_id, h.charged_at, p.period, l.account)
from sark.holds h
cross join lateral unnest(h.path) l(account)
cross join (values ('day'), ('month')) p(period)
where not exists (
  select from windows w
  where w.org = h.org and w.account = l.account and w.period = p.period
    and w.starts_at <= h.charged_at and h.charged_at < w.ends_at
);

-- name: I9_never_edited
-- Charges cannot be edited, and each reversal takes back exactly one expiry entry.
select 'every org', format('the trigger %s on sark.cost_tracking is missing or disabled', w.name)
from (values ('cost_tracking_append_only'), ('cost_tracking_no_truncate')) w(name)
where not exists (
  select from pg_trigger t
  where t.tgname = w.name and t.tgrelid = 'sark.cost_tracking'::regclass and t.tgenabled in ('O', 'A')
)
union all
select r.org, format('%s: the reversal of %s has no expiry entry of that amount', r.request_id, -r.actual_nanousd)
from sark.cost_tracking r
where r.kind = 'reversal' and not exists (
  select from sark.cost_tracking e
  where e.org = r.org and e.request_id = r.request_id and e.time = r.time and e.kind = 'expiry'
    and e.actual_nanousd = -r.actual_nanousd
);
