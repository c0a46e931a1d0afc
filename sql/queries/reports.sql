-- What was charged, told: summaries, trends, what estimates were worth, what needs a look.

-- name: span
-- The period a report is about, in its time zone, and what decides where its answer is read.
with zones as (
  select count(*) as orgs, case when count(distinct c.timezone) = 1 then min(c.timezone) end as timezone
  from sark.accounts a
  join sark.counters c on c.org = a.org and c.account = a.account
  where a.account = a.org and (%(org)s::text is null or a.org = %(org)s and a.account = %(org)s)
), zone as (
  select
    z.orgs, coalesce(%(timezone)s::text, z.timezone, 'UTC') as name,
    coalesce(%(timezone)s::text = z.timezone, %(timezone)s::text is null) as own,
    %(timezone)s::text is null and z.timezone is null as mixed,
    coalesce(%(now)s::timestamptz, now()) as at
  from zones z
), ends as (
  select z.*, (z.at at time zone z.name)::date as today,
    coalesce(%(to_day)s::date, case when %(to_at)s::timestamptz is null then (z.at at time zone z.name)::date + 1 end)
      as to_day,
    %(to_at)s::timestamptz as to_at
  from zone z
), starts as (
  select e.*, coalesce(%(from_day)s::date, case when %(from_at)s::timestamptz is null then
      case %(unit)s::text when 'month' then (date_trunc('month', l.day) - interval '11 months')::date
        when 'hour' then l.day - 1 else l.day - 29 end
    end) as from_day, %(from_at)s::timestamptz as from_at
  from ends e
  cross join lateral (
    select coalesce(e.to_day - 1, ((e.to_at - interval '1 microsecond') at time zone e.name)::date) as day
  ) l
)
select
  s.orgs, s.name, s.own, s.mixed, s.today, coalesce(s.from_day, f.day), coalesce(s.to_day, t.day), s.from_at, s.to_at,
  coalesce(s.from_at, s.from_day::timestamp at time zone s.name),
  coalesce(s.to_at, s.to_day::timestamp at time zone s.name), nullif(k.charges_kept_from, '-infinity'),
  exists (select from sark.nested_teams n where %(org)s::text is null or n.org = %(org)s),
  exists (
    select from sark.tags g
    where (%(org)s::text is null or g.org = %(org)s) and g.tag = any (%(tags)s::text[]) and g.values_seen >= 1000
  ),
  (
    select max(least(f.day, date '9999-12-31')) from sark.daily_groups_from f
    where %(org)s::text is null or f.org = %(org)s
  )
from starts s
cross join sark.storage k
-- Where an instant is the first of a day.
left join lateral (
  select case when ((s.from_at - interval '1 microsecond') at time zone s.name)::date < l.day then l.day end as day
  from (select (s.from_at at time zone s.name)::date as day where not s.mixed) l
) f on true
left join lateral (
  select case when ((s.to_at - interval '1 microsecond') at time zone s.name)::date < l.day then l.day end as day
  from (select (s.to_at at time zone s.name)::date as day where not s.mixed) l
) t on true;

-- name: summary
-- What was charged, in groups: a page of them, and the sums over all.
select sark.cost_summary_v1(
  %(org)s::text, %(dimension)s::text, %(unit)s::text, %(kinds)s::text[], %(tags)s::text[], %(from_day)s::date,
  %(to_day)s::date, %(from_at)s::timestamptz, %(to_at)s::timestamptz, %(timezone)s::text, %(own)s, %(filters)s::jsonb,
  %(order)s::text, %(limit)s::integer, %(after)s::jsonb
);

-- name: estimate_errors
-- How far estimates were off, by model and in steps of 5 %: summaries, and what is behind the mark.
select e.key, e.bucket, sum(e.charges)::bigint
from (
  select d.key, d.bucket, d.charges
  from sark.daily_estimate_errors d
  where d.org = %(org)s and d.day >= %(from_day)s::date and d.day < %(to_day)s::date
  union all
  select
    coalesce(t.provider, '') || '/' || coalesce(t.model, ''),
    greatest(-20, least(40, floor((t.actual_nanousd - t.estimated_nanousd) * 20.0 / t.estimated_nanousd))),
    1
  from (
    -- The mark is looked up beforehand, since a join would unpack every compressed chunk.
    select * from sark.cost_tracking c
    where c.org = %(org)s and c.xid >= (select xid from sark.fold_mark)
      and c.recorded_at >= (select recorded_from from sark.fold_mark)
      and c.time >= %(from_day)s::date::timestamp at time zone 'UTC' - interval '1 day'
      and c.time < %(to_day)s::date::timestamp at time zone 'UTC' + interval '1 day'
      and c.budget_day >= %(from_day)s::date and c.budget_day < %(to_day)s::date
  ) t
  where t.kind = 'charge' and t.rerating_id is null and t.estimated_nanousd > 0 and not t.estimated
) e
where (%(providers)s::text[] is null or split_part(e.key, '/', 1) = any (%(providers)s))
  and (%(models)s::text[] is null or substr(e.key, strpos(e.key, '/') + 1) = any (%(models)s))
group by 1, 2;

-- name: unsettled
-- Holds of a period that nobody settled: open for some time, or expired. The latest first, and the sums over all.
with found as materialized (
  select h.*, case h.state when 'held' then 'open' else case when h.expiry_booked then 'charged' else 'released' end end
    as what, (select max(a)::bigint from unnest(h.amounts) a) as at_stake
  from sark.holds h
  where (%(org)s::text is null or h.org = %(org)s) and h.path @> %(within)s::text[]
    and (h.state = 'expired' or h.state = 'held' and h.charged_at < now() - %(older_than_s)s * interval '1 second')
    and h.charged_at >= %(starts_at)s::timestamptz and h.charged_at < %(ends_at)s::timestamptz
), page as (
  select * from found f
  where %(after_at)s::timestamptz is null
    or (f.charged_at, f.org, f.request_id) < (%(after_at)s::timestamptz, %(after_org)s, %(after_id)s)
  order by f.charged_at desc, f.org desc, f.request_id desc
  limit %(limit)s
)
select json_build_array(
  now(),
  (select coalesce(json_object_agg(s.what, json_build_array(s.holds, s.at_stake, s.booked)), '{}') from (
    select f.what, count(*) as holds, sum(f.at_stake)::bigint as at_stake, sum(f.booked)::bigint as booked
    from found f group by f.what
  ) s),
  (select coalesce(json_agg(json_build_array(
    p.org, p.request_id, p.what, p.path, p.attribution ->> 'resource_id', p.attribution ->> 'capability_id',
    p.attribution ->> 'provider', p.attribution ->> 'model', p.attribution ->> 'principal_id', p.charged_at,
    p.expires_at, p.at_stake, p.booked
  ) order by p.charged_at desc, p.org desc, p.request_id desc), '[]') from page p)
);

-- name: count_unpriced
-- Add to the counts of calls no price was known for.
insert into sark.unpriced_calls as u (org, provider, model, status, day, calls, last_at)
select
  r.org, r.provider, r.model, r.status, (r.last_at at time zone 'UTC')::date, r.calls, r.last_at
from jsonb_to_recordset(%(rows)s::jsonb) r(
  org text, provider text, model text, status text, calls bigint, last_at timestamptz
)
order by 1, 5, 2, 3, 4
on conflict (org, day, provider, model, status) do update set
  calls = u.calls + excluded.calls, last_at = greatest(u.last_at, excluded.last_at);

-- name: unpriced
-- Calls of a period no price was known for, by model; the most frequent first.
select u.provider, u.model, u.status, sum(u.calls)::bigint, min(u.day), max(u.last_at)
from sark.unpriced_calls u
where (%(org)s::text is null or u.org = %(org)s) and u.day >= %(from_day)s::date and u.day < %(to_day)s::date
group by 1, 2, 3
order by 4 desc, 1, 2, 3
limit %(limit)s;
