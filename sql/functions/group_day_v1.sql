-- Group one more day of an org whose older charges are not in sark.daily_groups yet, the latest first. Answers how many
-- groups that were; null when nothing is left, or somebody else is at it, or the mark's xids are another server's.
--
-- The mark stays locked: what is folded by now is grouped here, over what folds have added to that day meanwhile, and
-- the rest comes with the next fold. An org that is being moved waits, so that a copy of it is of one state. Days whose
-- charges were dropped, and the one at the edge, are left out for good.
create or replace function sark.group_day_v1() returns bigint language plpgsql set jit = off set work_mem = '64MB' as $$
declare
  v_kept_from constant timestamptz := (select charges_kept_from from sark.storage);
  v_after constant date := case when v_kept_from > '-infinity' then (v_kept_from at time zone 'UTC')::date + 1 end;
  v_mark sark.fold_mark;
  v_org text;
  v_before date;
  v_day date;
  v_rows bigint;
begin
  if not exists (select from sark.daily_groups_from) then
    return null;
  end if;
  select * into v_mark from sark.fold_mark for update skip locked;
  if not found or v_mark.server <> (select system_identifier::text from pg_control_system()) then
    return null;
  end if;
  select f.org, f.day into v_org, v_before from sark.daily_groups_from f
  where (v_after is null or f.day > v_after + 1) and not exists (
    select from sark.org_moves m where m.org = f.org and m.state not in ('copying', 'active')
  )
  order by f.day desc, f.org limit 1;
  if not found then
    return null;
  end if;
  select max(d.day) into v_day from sark.daily_costs d
  where d.org = v_org and d.dimension = 'org' and d.day < v_before;
  if v_day is null then
    delete from sark.daily_groups_from where org = v_org;
    return 0;
  elsif v_day <= v_after then
    update sark.daily_groups_from set day = v_after + 1 where org = v_org;
    return 0;
  end if;

  insert into sark.daily_groups as d (
    org, grain, day, path, principal_id, resource_id, provider, model, charges, actual_nanousd, estimated_nanousd,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
  )
  select
    v_org, case when grouping(above) = 0 then 'team_model' else 'team_principal' end, v_day,
    case when grouping(above) = 0 then e'\n' || array_to_string(above, e'\n') else array_to_string(path, e'\n') end,
    coalesce(principal_id, ''),
    coalesce(resource_id, ''), coalesce(provider, ''), coalesce(model, ''), sum(sign), sum(actual_nanousd),
    sum(sign * estimated_nanousd), coalesce(sum(sign * (tokens ->> 'input_tokens')::bigint), 0),
    coalesce(sum(sign * (tokens ->> 'output_tokens')::bigint), 0),
    coalesce(sum(sign * (tokens ->> 'cache_read_tokens')::bigint), 0),
    coalesce(sum(sign * (tokens ->> 'cache_write_tokens')::bigint), 0)
  from (
    select
      t.path, t.path[2:] as above, t.principal_id, t.resource_id, coalesce(t.provider, '') as provider,
      coalesce(t.model, '') as model, case t.kind when 'reversal' then -1 else 1 end as sign, t.actual_nanousd,
      t.estimated_nanousd, t.tokens
    from sark.cost_tracking t
    where t.org = v_org and t.budget_day = v_day and not (t.xid >= v_mark.xid and t.recorded_at >= v_mark.recorded_from)
      and t.time >= v_day::timestamp at time zone 'UTC' - interval '1 day'
      and t.time < v_day::timestamp at time zone 'UTC' + interval '2 days'
  ) c
  group by grouping sets ((above, resource_id, provider, model), (path, principal_id))
  on conflict (org, grain, day, path, principal_id, resource_id, provider, model) do update set
    charges = excluded.charges, actual_nanousd = excluded.actual_nanousd,
    estimated_nanousd = excluded.estimated_nanousd,
    input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
    cache_read_tokens = excluded.cache_read_tokens, cache_write_tokens = excluded.cache_write_tokens;
  get diagnostics v_rows = row_count;
  update sark.daily_groups_from set day = v_day where org = v_org;
  return v_rows;
end $$;
