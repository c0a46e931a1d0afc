-- Give an account the quotas of its settings, and every account at or below it the meters of its path. Part of
-- sark.put_account_v1, which has put the account in its place and holds the locks.
--
-- An account below an org with quotas has that org's meters in its own row, so that a hold need not look for them. The
-- price is one update of all accounts below whenever an account gets a quota of a unit, loses it, or moves.
create or replace function sark.put_meters_v1(
  p_org text, p_account text, p_settings jsonb, p_found boolean, p_moved boolean, p_at timestamptz
) returns void language plpgsql as $$
declare
  v_meters text[];            -- as they were, of this account and of its parent
  v_above text[];
  v_unit record;
  v_counter sark.counters;
begin
  select a.meters, p.meters into v_meters, v_above
  from sark.accounts a left join sark.accounts p on p.org = a.org and p.account = a.parent
  where a.org = p_org and a.account = p_account;
  if v_meters is null and v_above is null and coalesce(
    p_settings ->> 'tokens_daily_limit', p_settings ->> 'tokens_monthly_limit', p_settings ->> 'calls_daily_limit',
    p_settings ->> 'calls_monthly_limit') is null then
    return;
  end if;

  for v_unit in
    select p_account || E'\x1f' || u.unit as meter, (p_settings ->> (u.unit || '_daily_limit'))::bigint as day_limit,
      (p_settings ->> (u.unit || '_monthly_limit'))::bigint as month_limit
    from unnest(array['tokens', 'calls']) u(unit)
  loop
    select * into v_counter from sark.counters where org = p_org and account = v_unit.meter for no key update;
    if found and coalesce(
      v_counter.day_limit::bigint, v_counter.month_limit::bigint, v_unit.day_limit, v_unit.month_limit) is null then
      continue;                 -- it had no quota before, and has none now
    elsif found then
      perform sark.edit_counter_v1(v_counter, p_settings ->> 'enforcement', p_settings ->> 'timezone',
        v_unit.day_limit, v_unit.month_limit, p_at);
    elsif v_unit.day_limit is not null or v_unit.month_limit is not null then
      insert into sark.counters (
        org, account, enforcement, timezone, day_limit, month_limit, day_limit_enforced, month_limit_enforced,
        day_starts_at, day_ends_at, month_starts_at, month_ends_at
      )
      select p_org, v_unit.meter, p_settings ->> 'enforcement', p_settings ->> 'timezone', v_unit.day_limit,
        v_unit.month_limit, case p_settings ->> 'enforcement' when 'hard' then v_unit.day_limit end,
        case p_settings ->> 'enforcement' when 'hard' then v_unit.month_limit end,
        d.starts_at, d.ends_at, m.starts_at, m.ends_at
      from sark.window_v1(p_at, p_settings ->> 'timezone', 'day') d,
        sark.window_v1(p_at, p_settings ->> 'timezone', 'month') m;
    end if;
  end loop;

  if p_found and (p_moved or (
    select array_agg(m.meter order by m.meter) from unnest(v_meters) m(meter)
    where split_part(m.meter, E'\x1f', 1) = p_account
  ) is distinct from sark.account_meters_v1(p_org, array[p_account])) then
    update sark.accounts a set meters = sark.account_meters_v1(a.org, a.path)
    where a.org = p_org and p_account = any (a.path);
  elsif not p_found then
    update sark.accounts a set meters = sark.account_meters_v1(a.org, a.path)
    where a.org = p_org and a.account = p_account;
  end if;
end $$;
