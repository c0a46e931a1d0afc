-- Charges as a company has them, for benchmarks: orgs of very different size, and of principals, models and capabilities
-- few that make up most. All that goes with a charge is there, so that `sark-opa verify` has nothing to say.

-- name: accounts
-- The tree: for each of `orgs` orgs its ten teams, and its principals: 1000, 500, 333 …
with orgs as (
  select 'org-' || o as org, greatest(10, 1000 / (o + 1)) as principals from generate_series(0, %(orgs)s - 1) o
), tree as (
  select org, org as account, null::text as parent, array[org] as path from orgs
  union all
  select org, org || '/team/team-' || t, org, array[org || '/team/team-' || t, org]
  from orgs, generate_series(0, 9) t
  union all
  select org, org || '/principal/user-' || p, org || '/team/team-' || p %% 10,
    array[org || '/principal/user-' || p, org || '/team/team-' || p %% 10, org]
  from orgs, generate_series(0, principals - 1) p
), put as (
  insert into sark.accounts (org, account, parent, path, unknown_principals)
  select org, account, parent, path, 'create' from tree
  order by cardinality(path)
)
insert into sark.counters (org, account, day_starts_at, day_ends_at, month_starts_at, month_ends_at)
select org, account, d.starts_at, d.ends_at, m.starts_at, m.ends_at
from tree
cross join lateral sark.window_v1(clock_timestamp(), 'UTC', 'day') d
cross join lateral sark.window_v1(clock_timestamp(), 'UTC', 'month') m;

-- name: charges
-- `rows` charges of the `days` before `until`. A power of a uniform draw makes few of each kind take most.
insert into sark.cost_tracking (
  time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, provider, model, tokens,
  usage, estimated_nanousd, held_nanousd, actual_nanousd, price_revision, late, hold_exceeded, estimated, tags, budget_day
)
select
  g.at, g.org, gen_random_uuid()::text, 1, 'charge', g.path[1], g.path, 'user-' || g.principal, g.provider,
  'capability-' || g.capability, g.provider, 'model-' || g.model,
  jsonb_build_object('input_tokens', g.input, 'output_tokens', g.output, 'cache_read_tokens', g.input / 3),
  jsonb_build_object('prompt_tokens', g.input, 'completion_tokens', g.output),
  g.cost, g.cost * 3, (g.cost * (0.5 + g.off))::bigint, '2026-11-01', false, false, false,
  jsonb_build_object('env', (array['prod', 'staging', 'dev'])[1 + g.model %% 3]), (g.at at time zone 'UTC')::date
from (
  select d.*, d.input * 2500 + d.output * 10000 as cost,
    (array['openai', 'anthropic', 'google', 'self-hosted', 'azure'])[1 + d.model %% 5] as provider,
    array[d.org || '/principal/user-' || d.principal, d.org || '/team/team-' || d.principal %% 10, d.org] as path
  from (
    select
      'org-' || r.org as org, floor(r.who * greatest(10, 1000 / (r.org + 1)))::integer as principal, r.off,
      floor(r.what * 30)::integer as model, floor(r.how * 200)::integer as capability, r.input, r.output, r.at
    from (
      select
        floor(%(orgs)s * power(random(), 3))::integer as org, power(random(), 2) as who, power(random(), 2) as what,
        power(random(), 3) as how, random() as off, floor(exp(4 + random() * 4))::bigint as input,
        floor(exp(3 + random() * 3))::bigint as output,
        date_trunc('milliseconds', %(until)s::timestamptz - random() * %(days)s * interval '1 day') as at
      from generate_series(1, %(rows)s)
    ) r
  ) d
) g;

-- name: holds
-- The settled hold of each charge that has none yet.
insert into sark.holds (
  org, request_id, path, amounts, expected, fingerprint, attribution, state, charged_at, expires_at, ended_at, booked,
  settlement_fingerprint, price_revision
)
select t.org, t.request_id, t.path, array_fill(t.held_nanousd::sark.amount, array[3]), t.estimated_nanousd, '\x01',
  jsonb_build_object('principal_id', t.principal_id, 'resource_id', t.resource_id, 'capability_id', t.capability_id,
    'provider', t.provider, 'model', t.model, 'tags', t.tags),
  'settled', t.time, t.time + interval '10 minutes', t.time, t.actual_nanousd, '\x02', t.price_revision
from sark.cost_tracking t
on conflict do nothing;

-- name: windows
-- What each account has spent, in its running windows and in those that are over.
with spent as (
  select t.org, a.account, p.period, date_trunc(p.period, t.time, 'UTC') as starts_at,
    sum(t.actual_nanousd)::bigint as spent
  from sark.cost_tracking t
  cross join lateral unnest(t.path) a(account)
  cross join (values ('day'), ('month')) p(period)
  group by 1, 2, 3, 4
), over as (
  insert into sark.period_history (org, account, period, starts_at, ends_at, spent, held)
  select s.org, s.account, s.period, s.starts_at, s.starts_at + ('1 ' || s.period)::interval, s.spent, 0
  from spent s
  join sark.counters c on c.org = s.org and c.account = s.account
  where s.starts_at < case s.period when 'day' then c.day_starts_at else c.month_starts_at end
  on conflict (org, account, period, starts_at) do update set spent = excluded.spent
)
update sark.counters c set
  day_spent = coalesce(s.day_spent, 0), month_spent = coalesce(s.month_spent, 0)
from (
  select s.org, s.account,
    sum(s.spent) filter (where s.period = 'day' and s.starts_at >= k.day_starts_at) as day_spent,
    sum(s.spent) filter (where s.period = 'month' and s.starts_at >= k.month_starts_at) as month_spent
  from spent s join sark.counters k on k.org = s.org and k.account = s.account
  group by 1, 2
) s
where c.org = s.org and c.account = s.account;
