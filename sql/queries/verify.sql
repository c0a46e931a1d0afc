-- Each query lists what breaks an invariant: which org, and how. It is asked for some orgs at a time, with all queries of
-- these orgs in one snapshot; one that names no orgs is asked once. What was dropped because it is old is left out.

-- name: I1_admissions_within_limit
-- What a hard account admitted in its running windows, in money and in quotas, stays within the limit enforced in them.
with windows as (
  select c.org, c.account, w.period, w.starts_at, w.enforced
  from sark.counters c
  cross join lateral (values
    ('day', c.day_starts_at, c.day_limit_enforced), ('month', c.month_starts_at, c.month_limit_enforced)
  ) w(period, starts_at, enforced)
  where c.org = any (%(orgs)s) and w.enforced is not null
), admitted as (
  select h.org, l.account, h.charged_at, case
    when h.state = 'held' or h.state = 'expired' and h.expiry_booked then l.amount
    when h.state <> 'settled' or h.late and not h.expiry_booked then 0
    when l.level <= cardinality(h.path) then least(l.amount, coalesce(h.booked_least, h.booked))
    when split_part(l.account, E'\x1f', 2) = 'calls' then l.amount
    else least(l.amount, h.booked_tokens)
  end as amount
  from sark.holds h
  cross join lateral unnest(h.path || h.meters, h.amounts || h.meter_amounts) with ordinality l(account, amount, level)
  where h.org = any (%(orgs)s) and h.charged_at >= (select min(starts_at) from windows)
)
select w.org, format('%%s: the %%s window admitted %%s of at most %%s', translate(w.account, E'\x1f', ' '), w.period,
  sum(a.amount), w.enforced)
from windows w
join admitted a on a.org = w.org and a.account = w.account and a.charged_at >= w.starts_at
group by w.org, w.account, w.period, w.starts_at, w.enforced
having sum(a.amount) > w.enforced;

-- name: I2_held_at_every_level
-- What a window holds is the sum of the holds taken in it that have not ended, at each level.
with held as (
  select h.org, l.account, h.charged_at, l.amount
  from sark.holds h
  cross join lateral unnest(h.path || h.meters, h.amounts || h.meter_amounts) l(account, amount)
  where h.org = any (%(orgs)s) and h.state = 'held'
), windows as (
  select org, account, 'day' as period, day_starts_at as starts_at, day_ends_at as ends_at, day_held as held
  from sark.counters
  union all
  select org, account, 'month', month_starts_at, month_ends_at, month_held from sark.counters
  union all
  select org, account, period, starts_at, ends_at, held from sark.period_history
)
select w.org, format('%%s: the %%s window from %%s holds %%s, its holds sum up to %%s',
  translate(w.account, E'\x1f', ' '), w.period, w.starts_at, w.held, coalesce(sum(h.amount), 0))
from windows w
left join held h on h.org = w.org and h.account = w.account and h.charged_at >= w.starts_at and h.charged_at < w.ends_at
where w.org = any (%(orgs)s)
group by w.org, w.account, w.period, w.starts_at, w.held
having w.held <> coalesce(sum(h.amount), 0);

-- name: I2_all_ancestors
-- The path of every hold leads from one account to the org, each level with its amount; so does each quota on it.
select h.org, format('%%s: the path %%s does not lead to the org, or has not one amount a level', h.request_id, h.path)
from sark.holds h
where h.org = any (%(orgs)s) and (h.path[cardinality(h.path)] <> h.org or cardinality(h.path) <> cardinality(h.amounts))
union all
select h.org, format('%%s: the quotas %%s are not of its path, or have not one amount each', h.request_id,
  translate(h.meters::text, E'\x1f', ' '))
from sark.holds h
where h.org = any (%(orgs)s) and (cardinality(h.meters) is distinct from cardinality(h.meter_amounts)
  or exists (select from unnest(h.meters) m(meter) where split_part(m.meter, E'\x1f', 1) <> all (h.path)));

-- name: I3_ends_once
-- A hold that was settled has one charge, one charged at expiry one expiry entry, any other none; re-ratings add pairs.
select h.org, format(
  '%%s: %%s, with %%s charges, %%s expiry entries and %%s reversals; of re-ratings %%s charges and %%s reversals',
  h.request_id, h.state, coalesce(e.charges, 0), coalesce(e.expiries, 0), coalesce(e.reversals, 0),
  coalesce(e.rerated, 0), coalesce(e.reversed, 0))
from sark.holds h
left join (
  select t.org, t.request_id, count(*) filter (where t.kind = 'charge' and t.rerating_id is null) as charges,
    count(*) filter (where t.kind = 'expiry') as expiries,
    count(*) filter (where t.kind = 'reversal' and t.rerating_id is null) as reversals,
    count(*) filter (where t.kind = 'charge' and t.rerating_id is not null) as rerated,
    count(*) filter (where t.kind = 'reversal' and t.rerating_id is not null) as reversed
  from sark.cost_tracking t
  where t.org = any (%(orgs)s)
  group by t.org, t.request_id
) e on e.org = h.org and e.request_id = h.request_id
where h.org = any (%(orgs)s) and h.charged_at >= (select charges_kept_from from sark.storage)
  and ((coalesce(e.charges, 0), coalesce(e.expiries, 0), coalesce(e.reversals, 0)) <> (
    (h.state = 'settled')::integer::bigint, h.expiry_booked::integer::bigint,
    (h.expiry_booked and h.state = 'settled')::integer::bigint
  ) or coalesce(e.rerated, 0) <> coalesce(e.reversed, 0)
    or (coalesce(e.rerated, 0) > 0) <> (h.settled_nanousd is not null) or e.rerated > 0 and h.state <> 'settled');

-- name: I4_one_effect
-- A request is charged what its hold says is booked, in one window; no charge is without a hold.
select coalesce(t.org, h.org), format('%%s: charges sum up to %%s, booked is %%s', coalesce(t.request_id, h.request_id),
  coalesce(t.actual, 0), coalesce(h.booked::text, 'unknown'))
from (
  select org, request_id, sum(actual_nanousd) as actual, min(time) as first_at, max(time) as last_at,
    max(actual_nanousd) filter (where kind = 'charge' and rerating_id is null) as settled
  from sark.cost_tracking
  where org = any (%(orgs)s) and time >= (select charges_kept_from from sark.storage)
  group by org, request_id
) t
full join (
  select * from sark.holds
  where org = any (%(orgs)s) and charged_at >= (select charges_kept_from from sark.storage)
) h on h.org = t.org and h.request_id = t.request_id
where h.booked is distinct from coalesce(t.actual, 0) or t.first_at <> h.charged_at or t.last_at <> h.charged_at
  or h.settled_nanousd <> t.settled;

-- name: I5_spent_is_charged
-- What a window has spent is the sum of its charges, at each level.
with windows as materialized (  -- each account's as sorted arrays, so that a charge finds its own by bisection
  select org, account, period, array_agg(starts_at order by starts_at) as starts_at,
    array_agg(spent order by starts_at) as spent
  from (
    select org, account, 'day' as period, day_starts_at as starts_at, day_spent as spent from sark.counters
    union all
    select org, account, 'month', month_starts_at, month_spent from sark.counters
    union all
    select org, account, period, starts_at, spent from sark.period_history
  ) w
  where org = any (%(orgs)s) and strpos(account, E'\x1f') = 0
  group by org, account, period
), spans as materialized (  -- in which no window of the org begins or ends: all charges of a path count in the same ones
  select w.org, s.starts_at, lead(s.starts_at, 1, 'infinity') over (partition by w.org order by s.starts_at) as ends_at
  from windows w cross join lateral unnest(w.starts_at) s(starts_at)
  group by w.org, s.starts_at
), charged as (
  select p.org, l.account, w.period, width_bucket(p.starts_at, w.starts_at) as slot, sum(k.actual) as actual
  from spans p
  cross join lateral (
    select t.path, sum(t.actual_nanousd) as actual from sark.cost_tracking t
    where t.org = p.org and t.time >= p.starts_at and t.time < p.ends_at
    group by t.path
  ) k
  cross join lateral unnest(k.path) l(account)
  join windows w on w.org = p.org and w.account = l.account
  group by 1, 2, 3, 4
)
select w.org, format('%%s: the %%s window from %%s has spent %%s, its charges sum up to %%s',
  w.account, w.period, s.starts_at, s.spent, coalesce(c.actual, 0))
from windows w
cross join lateral unnest(w.starts_at, w.spent) with ordinality s(starts_at, spent, slot)
left join charged c on c.org = w.org and c.account = w.account and c.period = w.period and c.slot = s.slot
where s.spent <> coalesce(c.actual, 0) and s.starts_at >= (select charges_kept_from from sark.storage);

-- name: I5_used_is_charged
-- What a window has used of a quota is the calls, or the tokens, of the charges whose holds count in it. One that was
-- taken back counts negative; one that tells no tokens counts those that its hold had set aside.
with windows as (
  select org, account, period, array_agg(starts_at order by starts_at) as starts_at,
    array_agg(used order by starts_at) as used
  from (
    select org, account, 'day' as period, day_starts_at as starts_at, day_spent as used from sark.counters
    union all
    select org, account, 'month', month_starts_at, month_spent from sark.counters
    union all
    select org, account, period, starts_at, spent from sark.period_history
  ) w
  where org = any (%(orgs)s) and strpos(account, E'\x1f') > 0
  group by org, account, period
), charged as (
  select t.org, m.account, w.period, width_bucket(t.time, w.starts_at) as slot, sum(
    case t.kind when 'reversal' then -1 else 1 end * case split_part(m.account, E'\x1f', 2)
      when 'calls' then 1
      else coalesce(sark.billed_tokens_v1(t.tokens), sark.held_tokens_v1(h.meters, h.meter_amounts))
    end
  ) as used
  from sark.holds h
  join sark.cost_tracking t on t.org = h.org and t.request_id = h.request_id and t.time = h.charged_at
  cross join lateral unnest(h.meters) m(account)
  join windows w on w.org = h.org and w.account = m.account
  where h.org = any (%(orgs)s) and h.meters is not null
  group by 1, 2, 3, 4
)
select w.org, format('%%s: the %%s window from %%s has used %%s, its charges sum up to %%s',
  translate(w.account, E'\x1f', ' '), w.period, s.starts_at, s.used, coalesce(c.used, 0))
from windows w
cross join lateral unnest(w.starts_at, w.used) with ordinality s(starts_at, used, slot)
left join charged c on c.org = w.org and c.account = w.account and c.period = w.period and c.slot = s.slot
where s.used <> coalesce(c.used, 0) and s.starts_at >= (select charges_kept_from from sark.storage);

-- name: I5_summed_is_charged
-- Every line of the daily summaries is the sum of the charges behind their mark; a tag's values count together.
with folded as (
  select t.*, case t.kind when 'reversal' then -1 else 1 end as sign,
    coalesce(t.provider, '') || '/' || coalesce(t.model, '') as model_key
  from sark.cost_tracking t cross join sark.fold_mark m
  where t.org = any (%(orgs)s) and not (t.xid >= m.xid and t.recorded_at >= m.recorded_from)
), lines as (
  select f.org, l.dimension, l.key, f.budget_day as day, sum(f.sign) as charges, sum(f.actual_nanousd) as actual,
    sum(f.sign * f.estimated_nanousd) as estimated,
    sum(f.sign * (coalesce((f.tokens ->> 'input_tokens')::bigint, 0) + coalesce((f.tokens ->> 'output_tokens')::bigint, 0)
      + coalesce((f.tokens ->> 'cache_read_tokens')::bigint, 0)
      + coalesce((f.tokens ->> 'cache_write_tokens')::bigint, 0))) as tokens
  from folded f
  cross join lateral (
    values ('org', ''), ('principal', f.principal_id), ('resource', f.resource_id), ('capability', f.capability_id),
      ('model', f.model_key)
    union all select 'account', a from unnest(f.path[2:cardinality(f.path) - 1]) a
    union all select 'tag', name from jsonb_object_keys(f.tags) name
  ) l(dimension, key)
  group by 1, 2, 3, 4
), stored as (
  select org, dimension, case dimension when 'tag' then split_part(key, '=', 1) else key end as key, day,
    sum(charges) as charges, sum(actual_nanousd) as actual, sum(estimated_nanousd) as estimated,
    sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens) as tokens
  from sark.daily_costs
  where org = any (%(orgs)s)
  group by 1, 2, 3, 4
)
select org, format('%%s %%s on %%s: the summary has %%s charges of %%s, there are %%s of %%s', dimension, key, day,
  coalesce(s.charges, 0), coalesce(s.actual, 0), coalesce(l.charges, 0), coalesce(l.actual, 0))
from lines l full join stored s using (org, dimension, key, day)
where (s.charges, s.actual, s.estimated, s.tokens) is distinct from (l.charges, l.actual, l.estimated, l.tokens)
  and (select charges_kept_from = '-infinity' or day > (charges_kept_from at time zone 'UTC')::date + 1
    from sark.storage);

-- name: I5_groups_are_summed
-- Sums by several dimensions at once add up to those by one, by which they are compared: of each grain and each dimension
-- that it tells apart, of all days that it has. So it costs no look at charges, which I5_summed_is_charged takes.
with grouped as materialized (
  select g.*, string_to_array(g.path, e'\n') as accounts,
    input_tokens + output_tokens + cache_read_tokens + cache_write_tokens as tokens
  from sark.daily_groups g
  left join sark.daily_groups_from f on f.org = g.org
  where g.org = any (%(orgs)s) and (f.day is null or g.day >= f.day)
), lines as (
  select org, grain, day,
    case when grouping(resource_id) = 0 then 'resource' when grouping(model) = 0 then 'model' else 'org' end as dimension,
    case when grouping(resource_id) = 0 then resource_id when grouping(model) = 0 then provider || '/' || model
      else '' end as key,
    sum(charges) as charges, sum(actual_nanousd) as actual, sum(estimated_nanousd) as estimated, sum(tokens) as tokens
  from grouped
  where grain = 'team_model'
  group by grouping sets ((org, grain, day), (org, grain, day, resource_id), (org, grain, day, provider, model))
  union all
  select org, grain, day, 'principal', principal_id, sum(charges), sum(actual_nanousd), sum(estimated_nanousd), sum(tokens)
  from grouped
  where grain = 'team_principal'
  group by org, grain, day, principal_id
  union all
  select g.org, g.grain, g.day, 'account', a.account, sum(g.charges), sum(g.actual_nanousd), sum(g.estimated_nanousd),
    sum(g.tokens)
  from grouped g
  cross join lateral unnest(g.accounts[2:cardinality(g.accounts) - 1]) a(account)
  group by g.org, g.grain, g.day, a.account
), stored as (
  select d.org, n.grain, d.dimension, d.key, d.day, d.charges, d.actual_nanousd as actual,
    d.estimated_nanousd as estimated,
    d.input_tokens + d.output_tokens + d.cache_read_tokens + d.cache_write_tokens as tokens
  from sark.daily_costs d
  join (values ('team_model', 'org'), ('team_model', 'resource'), ('team_model', 'model'), ('team_model', 'account'),
    ('team_principal', 'principal'), ('team_principal', 'account')
  ) n(grain, dimension) on n.dimension = d.dimension
  left join sark.daily_groups_from f on f.org = d.org
  where d.org = any (%(orgs)s) and (f.day is null or d.day >= f.day)
)
select org, format('%%s %%s on %%s: groups of grain %%s sum up to %%s charges of %%s, the summary has %%s of %%s',
  dimension, key, day, grain, coalesce(l.charges, 0), coalesce(l.actual, 0), coalesce(s.charges, 0), coalesce(s.actual, 0))
from lines l full join stored s using (org, grain, dimension, key, day)
where (s.charges, s.actual, s.estimated, s.tokens) is distinct from (l.charges, l.actual, l.estimated, l.tokens);

-- name: I5_errors_are_counted
-- Every line of how far estimates were off counts the charges behind the summaries' mark that were off that far.
with lines as (
  select t.org, coalesce(t.provider, '') || '/' || coalesce(t.model, '') as key, t.budget_day as day,
    greatest(-20, least(40, floor((t.actual_nanousd - t.estimated_nanousd) * 20.0 / t.estimated_nanousd))) as bucket,
    count(*) as charges
  from sark.cost_tracking t cross join sark.fold_mark m
  where t.org = any (%(orgs)s) and not (t.xid >= m.xid and t.recorded_at >= m.recorded_from)
    and t.kind = 'charge' and t.rerating_id is null and t.estimated_nanousd > 0 and not t.estimated
  group by 1, 2, 3, 4
)
select org, format('%%s on %%s, %%s x 5 %%%%: counted %%s times, charged %%s times', key, day, bucket,
  coalesce(s.charges, 0), coalesce(l.charges, 0))
from lines l
full join (select * from sark.daily_estimate_errors where org = any (%(orgs)s)) s using (org, key, day, bucket)
where s.charges is distinct from l.charges
  and (select charges_kept_from = '-infinity' or day > (charges_kept_from at time zone 'UTC')::date + 1
    from sark.storage);

-- name: I6_integers
-- No amount of money is kept in a type that can round.
select 'every org', format('%%s.%%s is %%s', table_name, column_name, data_type)
from information_schema.columns
where table_schema = 'sark'
  and table_name in ('accounts', 'counters', 'holds', 'cost_tracking', 'period_history', 'daily_costs')
  and data_type in ('real', 'double precision', 'numeric', 'money');

-- name: I7_one_window
-- The windows of an account never overlap, and each hold, charged or not, lies in a day and a month of its whole path.
with windows as materialized (
  select org, account, period, array_agg(starts_at order by starts_at) as starts_at,
    array_agg(ends_at order by starts_at) as ends_at
  from (
    select org, account, 'day' as period, day_starts_at as starts_at, day_ends_at as ends_at from sark.counters
    union all
    select org, account, 'month', month_starts_at, month_ends_at from sark.counters
    union all
    select org, account, period, starts_at, ends_at from sark.period_history
  ) w
  where org = any (%(orgs)s)
  group by org, account, period
), starts as materialized (
  select w.org, array_agg(distinct s.starts_at order by s.starts_at) as starts_at
  from windows w cross join lateral unnest(w.starts_at) s(starts_at)
  group by w.org
), taken as materialized (  -- no window of the org begins between two starts: of a path, the first and last hold tell all
  select h.org, h.path || h.meters as path, width_bucket(h.charged_at, s.starts_at) as span,
    min(h.charged_at) as first_at, max(h.charged_at) as last_at
  from sark.holds h
  left join starts s on s.org = h.org
  where h.org = any (%(orgs)s)
  group by 1, 2, 3
)
select w.org, format('%%s: the %%s window from %%s begins before the one before it ends',
  translate(w.account, E'\x1f', ' '), w.period, s.starts_at)
from windows w
cross join lateral unnest(w.starts_at[2:], w.ends_at) s(starts_at, last_ends_at)
where s.starts_at < s.last_ends_at
union all
select t.org, format('%%s: a hold taken at %%s is in no %%s window of it', translate(l.account, E'\x1f', ' '), t.last_at,
  p.period)
from taken t
cross join lateral unnest(t.path) l(account)
cross join (values ('day'), ('month')) p(period)
left join windows w on w.org = t.org and w.account = l.account and w.period = p.period
where coalesce(t.last_at >= w.ends_at[nullif(width_bucket(t.first_at, w.starts_at), 0)], true);

-- name: I9_never_edited
-- Each reversal takes back exactly one entry: of an expiry, or the one that a re-rating replaces.
with entries as (
  select * from sark.cost_tracking
  where org = any (%(orgs)s) and time >= (select charges_kept_from from sark.storage)
)
select r.org, format('%%s: the reversal of %%s has no expiry entry of that amount', r.request_id, -r.actual_nanousd)
from entries r
where r.kind = 'reversal' and r.rerating_id is null and not exists (
  select from sark.cost_tracking e
  where e.org = r.org and e.request_id = r.request_id and e.time = r.time and e.kind = 'expiry'
    and e.actual_nanousd = -r.actual_nanousd
)
union all
select r.org, format('%%s: entry %%s of the re-rating %%s takes back no charge of that amount, or has no new one after it',
  r.request_id, r.entry, r.rerating_id)
from entries r
where r.kind = 'reversal' and r.rerating_id is not null and not exists (
  select from sark.cost_tracking b
  join sark.cost_tracking n
    on n.org = b.org and n.request_id = b.request_id and n.time = b.time and n.entry = b.entry + 2
  where b.org = r.org and b.request_id = r.request_id and b.time = r.time and b.entry = r.entry - 1
    and b.kind = 'charge' and b.actual_nanousd = -r.actual_nanousd and b.tokens = r.tokens
    and n.kind = 'charge' and n.rerating_id = r.rerating_id
);

-- name: I9_guarded
-- Charges cannot be edited, by whatever name they are reached.
select 'every org', format('the trigger %%s on %%s is missing or disabled', w.name, g.relation)
from (
  select 'sark.cost_tracking'::regclass as relation
  union all
  select inhrelid::regclass from pg_inherits, sark.storage
  where inhparent = 'sark.cost_tracking'::regclass and tier = 'plain'
) g
cross join (values ('cost_tracking_append_only'), ('cost_tracking_no_truncate')) w(name)
where not exists (
  select from pg_trigger t where t.tgname = w.name and t.tgrelid = g.relation and t.tgenabled in ('O', 'A')
);
