-- Create the principals that are asked for and missing, where their org allows it, with their team and org.
--
-- Called before any hold row is touched: the order of locks is accounts, holds, counters. The org's row is locked
-- in share mode, so that no account is moved while a path through it is written down.
create or replace function sark.open_accounts_v1(p_requests jsonb, p_create_orgs boolean, p_at timestamptz)
returns void language plpgsql as $$
declare
  v_orgs text[];
begin
  if p_create_orgs then
    with missing as (
      select distinct r.org from jsonb_to_recordset(p_requests) r(org text)
      where not exists (select from sark.accounts a where a.org = r.org and a.account = r.org)
      order by r.org
    ), opened as (
      insert into sark.accounts (org, account, path, unknown_principals)
      select org, org, array[org], 'create' from missing
      on conflict do nothing returning org, account
    )
    insert into sark.counters (org, account, day_starts_at, day_ends_at, month_starts_at, month_ends_at)
    select o.org, o.account, d.starts_at, d.ends_at, m.starts_at, m.ends_at
    from opened o, sark.window_v1(p_at, 'UTC', 'day') d, sark.window_v1(p_at, 'UTC', 'month') m;
  end if;

  select array_agg(org) into v_orgs from (
    select a.org from sark.accounts a
    where a.account = a.org and a.unknown_principals = 'create'
      and a.org in (
        select r.org from jsonb_to_recordset(p_requests) r(org text, principal_id text)
        where not exists (
          select from sark.accounts p where p.org = r.org and p.account = r.org || '/principal/' || r.principal_id
        )
      )
    order by a.org for share
  ) creating;
  if v_orgs is null then
    return;
  end if;

  with missing as (
    select distinct on (r.org, r.principal_id) r.org, r.org || '/team/' || r.team as team
    from rows from (jsonb_to_recordset(p_requests) as (org text, principal_id text, team text))
      with ordinality r(org, principal_id, team, ordinal)
    where r.org = any (v_orgs) and not exists (
      select from sark.accounts p where p.org = r.org and p.account = r.org || '/principal/' || r.principal_id
    )
    order by r.org, r.principal_id, r.ordinal
  ), opened as (
    insert into sark.accounts (org, account, parent, path, meters)
    select distinct m.org, m.team, m.org, array[m.team, m.org], o.meters
    from missing m join sark.accounts o on o.org = m.org and o.account = m.org
    where m.team is not null
      and not exists (select from sark.accounts t where t.org = m.org and t.account = m.team)
    order by m.org, m.team
    on conflict do nothing returning org, account
  )
  insert into sark.counters (
    org, account, enforcement, timezone, day_starts_at, day_ends_at, month_starts_at, month_ends_at
  )
  select o.org, o.account, a.default_enforcement, c.timezone, d.starts_at, d.ends_at, m.starts_at, m.ends_at
  from opened o
  join sark.accounts a on a.org = o.org and a.account = o.org
  join sark.counters c on c.org = o.org and c.account = o.org
  cross join lateral sark.window_v1(p_at, c.timezone, 'day') d
  cross join lateral sark.window_v1(p_at, c.timezone, 'month') m;

  with missing as (
    select distinct on (r.org, r.principal_id)
      r.org, r.org || '/principal/' || r.principal_id as account,
      case when r.team is null then r.org else r.org || '/team/' || r.team end as parent
    from rows from (jsonb_to_recordset(p_requests) as (org text, principal_id text, team text))
      with ordinality r(org, principal_id, team, ordinal)
    where r.org = any (v_orgs)
    order by r.org, r.principal_id, r.ordinal
  ), opened as (
    insert into sark.accounts (org, account, parent, path, meters)
    select m.org, m.account, m.parent, m.account || p.path, p.meters
    from missing m join sark.accounts p on p.org = m.org and p.account = m.parent
    order by m.org, m.account
    on conflict do nothing returning org, account, parent
  )
  insert into sark.counters (
    org, account, enforcement, timezone, day_limit, month_limit, day_limit_enforced, month_limit_enforced,
    day_starts_at, day_ends_at, month_starts_at, month_ends_at
  )
  select
    o.org, o.account, a.default_enforcement, c.timezone, a.default_daily_limit_nanousd,
    a.default_monthly_limit_nanousd,
    case a.default_enforcement when 'hard' then a.default_daily_limit_nanousd end,
    case a.default_enforcement when 'hard' then a.default_monthly_limit_nanousd end,
    d.starts_at, d.ends_at, m.starts_at, m.ends_at
  from opened o
  join sark.accounts a on a.org = o.org and a.account = o.org
  join sark.counters c on c.org = o.org and c.account = o.parent
  cross join lateral sark.window_v1(p_at, c.timezone, 'day') d
  cross join lateral sark.window_v1(p_at, c.timezone, 'month') m;
end $$;
