-- Create or replace an account's settings; what is spent and held is untouched. p_settings: an Account object.
-- Answers [status, account]; status is created, replaced, unknown_parent, cycle, too_deep or unknown_timezone.
--
-- The org's row is locked first, so that one tree is edited by one at a time and no account is created meanwhile.
-- Moving an account moves all below it; holds keep the path they were taken on. A new time zone moves the windows at
-- once while nothing is spent or held in them; otherwise it counts from the next window on, and the running one ends
-- when it would have: spending is never dropped, and never counted twice.
create or replace function sark.put_account_v1(p_org text, p_settings jsonb, p_now timestamptz default null)
returns json language plpgsql as $$
declare
  s record;
  v_at timestamptz;
  v_opened boolean := false;    -- the org's row is new
  v_found boolean;
  v_old_path text[];
  v_path text[];
  v_counter sark.counters;
begin
  select * into s from jsonb_to_record(p_settings) r(
    name text, parent text, daily_limit_nanousd bigint, monthly_limit_nanousd bigint, timezone text, enforcement text,
    on_expiry text, unknown_principals text, default_daily_limit_nanousd bigint, default_monthly_limit_nanousd bigint,
    default_enforcement text, tokens_daily_limit bigint, tokens_monthly_limit bigint, calls_daily_limit bigint,
    calls_monthly_limit bigint);
  -- Before anything is written, since an answer other than created or replaced must leave nothing behind. The zone an
  -- account or its parent has is known to be good; looking it up takes longer than all the rest.
  if s.timezone <> 'UTC'
    and not exists (
      select from sark.counters c
      where c.org = p_org and c.account in (s.name, s.parent) and c.timezone = s.timezone
    )
    and not exists (select from pg_timezone_names z where z.name = s.timezone) then
    return json_build_array('unknown_timezone', null);
  end if;
  if s.name = p_org then
    insert into sark.accounts (org, account, path) values (p_org, p_org, array[p_org]) on conflict do nothing;
    v_opened := found;
  end if;
  -- Not `for update`: a row that a transaction updates twice has its foreign key checked, so whoever rolls and then
  -- updates a counter reads the org's row `for key share`, with counters locked that this waits for below.
  perform from sark.accounts where org = p_org and account = p_org for no key update;
  select path into v_old_path from sark.accounts where org = p_org and account = s.name;
  v_found := found and not v_opened;
  if v_found then
    perform from sark.counters
    where org = p_org and account = any (array[s.name || E'\x1ftokens', s.name || E'\x1fcalls', s.name])
    order by account for no key update;
    select * into v_counter from sark.counters where org = p_org and account = s.name;
  end if;
  v_at := coalesce(p_now, clock_timestamp());

  if s.parent is null then
    v_path := array[p_org];
  else
    select array[s.name] || path into v_path from sark.accounts where org = p_org and account = s.parent;
    if not found then
      return json_build_array('unknown_parent', null);
    elsif s.name = any (v_path[2:]) then
      return json_build_array('cycle', null);
    end if;
  end if;
  -- Whatever lies below moves along; below an account that is new or stays there is nothing to look at.
  if cardinality(v_path) > 16 or (v_found and v_old_path <> v_path and cardinality(v_path) + (
    select max(array_position(a.path, s.name)) - 1 from sark.accounts a where a.org = p_org and s.name = any (a.path)
  ) > 16) then
    return json_build_array('too_deep', null);
  end if;

  insert into sark.accounts as a (
    org, account, parent, path, on_expiry, unknown_principals, default_daily_limit_nanousd,
    default_monthly_limit_nanousd, default_enforcement
  ) values (
    p_org, s.name, s.parent, v_path, s.on_expiry, s.unknown_principals, s.default_daily_limit_nanousd,
    s.default_monthly_limit_nanousd, s.default_enforcement
  )
  on conflict (org, account) do update set
    parent = excluded.parent, on_expiry = excluded.on_expiry, unknown_principals = excluded.unknown_principals,
    default_daily_limit_nanousd = excluded.default_daily_limit_nanousd,
    default_monthly_limit_nanousd = excluded.default_monthly_limit_nanousd,
    default_enforcement = excluded.default_enforcement;
  if v_found and v_old_path <> v_path then
    update sark.accounts a set path = a.path[:array_position(a.path, s.name) - 1] || v_path
    where a.org = p_org and s.name = any (a.path);
  end if;

  if not v_found then
    insert into sark.counters (
      org, account, enforcement, timezone, day_limit, month_limit, day_limit_enforced, month_limit_enforced,
      day_starts_at, day_ends_at, month_starts_at, month_ends_at
    )
    select p_org, s.name, s.enforcement, s.timezone, s.daily_limit_nanousd, s.monthly_limit_nanousd,
      case s.enforcement when 'hard' then s.daily_limit_nanousd end,
      case s.enforcement when 'hard' then s.monthly_limit_nanousd end,
      d.starts_at, d.ends_at, m.starts_at, m.ends_at
    from sark.window_v1(v_at, s.timezone, 'day') d, sark.window_v1(v_at, s.timezone, 'month') m;
  else
    perform sark.edit_counter_v1(v_counter, s.enforcement, s.timezone, s.daily_limit_nanousd,
      s.monthly_limit_nanousd, v_at);
  end if;
  perform sark.put_meters_v1(p_org, s.name, p_settings, v_found, v_old_path <> v_path, v_at);
  return json_build_array(case when v_found then 'replaced' else 'created' end, sark.account_json_v1(p_org, s.name));
end $$;
