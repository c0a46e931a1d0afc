-- Where a principal and every ancestor stand: a look. Answers [unknown, windows], windows as in hold_batch_v2 but
-- leaf first, and then the meters of its quotas. For a principal that may be created when it first asks for money, the
-- windows it would then have.
create or replace function sark.status_v1(
  p_org text, p_principal text, p_team text, p_create_orgs boolean, p_now timestamptz default null
) returns json language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off as $$
declare
  v_at constant timestamptz := coalesce(p_now, clock_timestamp());
  v_leaf constant text := p_org || '/principal/' || p_principal;
  v_team constant text := p_org || '/team/' || p_team;
  v_path text[];
  v_meters text[];
  v_root sark.accounts;
  v_missing text[] := '{}';
begin
  select path, meters into v_path, v_meters from sark.accounts where org = p_org and account = v_leaf;
  if not found then
    select * into v_root from sark.accounts where org = p_org and account = p_org;
    if not found and not p_create_orgs then
      return json_build_array(p_org, '[]'::json);
    elsif found and v_root.unknown_principals = 'deny' then
      return json_build_array(v_leaf, '[]'::json);
    end if;
    v_missing := array[v_leaf];
    select path, meters into v_path, v_meters from sark.accounts
    where org = p_org and account = coalesce(v_team, p_org);
    if v_path is null then
      v_missing := v_missing || v_team;
      v_path := case when v_root.org is not null then array[p_org] else '{}' end;
      v_meters := v_root.meters;
      v_missing := v_missing || case when v_root.org is null then p_org end;
    end if;
  end if;

  return json_build_array(null, (
    select json_agg(w.line order by w.ordinal) from (
      select k.ordinal - 100 as ordinal, json_build_array(
        k.account, coalesce(v_root.default_enforcement, 'hard'),
        case when k.account = v_leaf then v_root.default_daily_limit_nanousd end, 0, 0, d.starts_at, d.ends_at,
        case when k.account = v_leaf then v_root.default_monthly_limit_nanousd end, 0, 0, m.starts_at, m.ends_at
      ) as line
      from unnest(v_missing) with ordinality k(account, ordinal)
      cross join lateral (
        select coalesce((select timezone from sark.counters where org = p_org and account = v_path[1]), 'UTC') as name
      ) z
      cross join lateral sark.window_v1(v_at, z.name, 'day') d
      cross join lateral sark.window_v1(v_at, z.name, 'month') m
      where k.account is not null
      union all
      select w.ordinal, json_build_array(
        w.account, w.enforcement, w.day_limit, w.day_spent, w.day_held, w.day_starts_at, w.day_ends_at,
        w.month_limit, w.month_spent, w.month_held, w.month_starts_at, w.month_ends_at
      )
      from sark.windows_v1(
        array_fill(p_org, array[cardinality(v_path || v_meters)]), v_path || v_meters, v_at) w
    ) w
  ));
end $$;
