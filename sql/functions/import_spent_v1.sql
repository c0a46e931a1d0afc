-- Count rows p_from to p_to of pg_temp.sark_import, or only p_rows of them, which sark.import_batch_v1 has booked, as spent
-- in the windows their times lie in, and make the windows that are not there. A window that is made lies in the calendar
-- day or month of the account's time zone, between the windows before and after it.
--
-- Time is cut wherever a window of one of the accounts begins or ends, or could. So all charges of a path in a span count
-- in the same windows: they are summed up first, and windows are looked up for a few sums instead of for every charge.
create or replace function sark.import_spent_v1(p_from bigint, p_to bigint, p_rows bigint[]) returns void language plpgsql
set plan_cache_mode = force_custom_plan set jit = off set work_mem = '64MB' as $$
declare
  c_now constant timestamptz := clock_timestamp();
  v_orgs text[];              -- the counters, in the order of locks
  v_accounts text[];
  s_orgs text[];              -- the sums: one element for each account and span
  s_accounts text[];
  s_ats timestamptz[];        -- when the first of its charges was made
  s_spent bigint[];
begin
  select array_agg(k.org), array_agg(k.account) into v_orgs, v_accounts
  from (
    select p.org, l.account
    from (
      select distinct i.org, i.account
      from (
        select distinct r.subject from pg_temp.sark_import r
        where r.row_number between p_from and p_to and (p_rows is null or r.row_number = any (p_rows))
      ) u
      join pg_temp.sark_import_subject i on i.subject = u.subject
    ) d
    join sark.accounts p on p.org = d.org and p.account = d.account
    cross join lateral unnest(p.path) l(account)
    group by p.org, l.account
    order by p.org collate "C", l.account collate "C"
  ) k
  cross join lateral (
    select from sark.counters s where s.org = k.org and s.account = k.account for no key update
  ) c;
  perform sark.roll_v1(array_agg(c.org), array_agg(c.account), array_agg(c_now))
  from unnest(v_orgs, v_accounts) k(org, account)
  join sark.counters c on c.org = k.org and c.account = k.account
  where least(c.day_ends_at, c.month_ends_at) <= c_now;

  with booked as materialized (
    select i.org, i.account, r.charged_at, r.actual_nanousd
    from pg_temp.sark_import r join pg_temp.sark_import_subject i on i.subject = r.subject
    where r.row_number between p_from and p_to and (p_rows is null or r.row_number = any (p_rows))
  ), times as materialized (
    select org, min(charged_at) as first_at, max(charged_at) as last_at from booked group by org
  ), windows as (
    select k.org, c.timezone, b.at
    from unnest(v_orgs, v_accounts) k(org, account)
    join sark.counters c on c.org = k.org and c.account = k.account
    join times t on t.org = k.org
    cross join lateral (
      select c.day_starts_at as at union all select c.month_starts_at
      union all
      select u.at
      from (values ('day'), ('month')) p(period)
      cross join lateral (
        select h.starts_at, h.ends_at from sark.period_history h
        where h.org = k.org and h.account = k.account and h.period = p.period and h.starts_at <= t.last_at
          and h.starts_at >= coalesce((
            select b.starts_at from sark.period_history b
            where b.org = k.org and b.account = k.account and b.period = p.period and b.starts_at <= t.first_at
            order by b.starts_at desc limit 1
          ), t.first_at)
      ) h
      cross join lateral (values (h.starts_at), (h.ends_at)) u(at)
    ) b
  ), cuts as materialized (
    select b.org, array_agg(distinct b.at order by b.at) as ats
    from (
      select w.org, w.at from windows w
      union all
      select z.org, d.starts_at
      from (select distinct org, timezone from windows) z
      join times t on t.org = z.org
      cross join lateral generate_series(
        (t.first_at at time zone z.timezone)::date - 1, (t.last_at at time zone z.timezone)::date + 1, interval '1 day'
      ) g(day)
      cross join lateral sark.window_v1((g.day + interval '12 hours') at time zone z.timezone, z.timezone, 'day') d
    ) b
    group by b.org
  ), sums as (
    select b.org, b.account, width_bucket(b.charged_at, c.ats) as span, min(b.charged_at) as at,
      sum(b.actual_nanousd) as spent
    from booked b join cuts c on c.org = b.org
    group by 1, 2, 3
  ), levels as (
    select s.org, l.account, min(s.at) as at, sum(s.spent)::bigint as spent
    from sums s
    join sark.accounts p on p.org = s.org and p.account = s.account
    cross join lateral unnest(p.path) l(account)
    group by s.org, l.account, s.span
  )
  select array_agg(org), array_agg(account), array_agg(at), array_agg(spent)
  into s_orgs, s_accounts, s_ats, s_spent from levels;

  insert into sark.period_history (org, account, period, starts_at, ends_at, spent, held)
  select distinct l.org, l.account, w.period,
    greatest(d.starts_at, before.ends_at),
    least(d.ends_at, w.running_from, (
      select n.starts_at from sark.period_history n
      where n.org = l.org and n.account = l.account and n.period = w.period and n.starts_at > l.at
      order by n.starts_at limit 1
    )), 0, 0
  from unnest(s_orgs, s_accounts, s_ats) l(org, account, at)
  join sark.counters c on c.org = l.org and c.account = l.account
  cross join lateral (values ('day', c.day_starts_at), ('month', c.month_starts_at)) w(period, running_from)
  left join lateral (
    select b.ends_at from sark.period_history b
    where b.org = l.org and b.account = l.account and b.period = w.period and b.starts_at <= l.at
    order by b.starts_at desc limit 1
  ) before on true
  cross join lateral sark.window_v1(l.at, c.timezone, w.period) d
  where l.at < w.running_from and (before.ends_at is null or before.ends_at <= l.at);

  update sark.period_history p set spent = p.spent + s.spent
  from (
    select l.org, l.account, w.period, h.starts_at, sum(l.spent)::bigint as spent
    from unnest(s_orgs, s_accounts, s_ats, s_spent) l(org, account, at, spent)
    join sark.counters c on c.org = l.org and c.account = l.account
    cross join lateral (values ('day', c.day_starts_at), ('month', c.month_starts_at)) w(period, running_from)
    cross join lateral (
      select b.starts_at from sark.period_history b
      where b.org = l.org and b.account = l.account and b.period = w.period and b.starts_at <= l.at
      order by b.starts_at desc limit 1
    ) h
    where l.at < w.running_from
    group by l.org, l.account, w.period, h.starts_at
  ) s
  where p.org = s.org and p.account = s.account and p.period = s.period and p.starts_at = s.starts_at;

  update sark.counters c set day_spent = c.day_spent + s.day_spent, month_spent = c.month_spent + s.month_spent
  from (
    select l.org, l.account,
      coalesce(sum(l.spent) filter (where l.at >= o.day_starts_at), 0)::bigint as day_spent,
      coalesce(sum(l.spent) filter (where l.at >= o.month_starts_at), 0)::bigint as month_spent
    from unnest(s_orgs, s_accounts, s_ats, s_spent) l(org, account, at, spent)
    join sark.counters o on o.org = l.org and o.account = l.account
    group by l.org, l.account
  ) s
  where c.org = s.org and c.account = s.account and (s.day_spent > 0 or s.month_spent > 0);
end $$;
