-- What was charged, in groups: one row for each that has charges, in no order.
--
-- p_dimension: the dimension of sark.daily_costs that has the answer, or the grain of sark.daily_groups; what is behind
-- the mark is added from the charges. Null: the charges alone. p_unit: hour, day, month or null. p_kinds, p_tags: up to
-- four words for sark.cost_key_v1, and beside each the name of its tag. The period is half-open; each end is a day or an
-- instant, instants only without a dimension. p_own: days are those the budgets counted; else those of p_timezone.
-- p_filters: {kind: [value, …]}, {"tag": {name: [value, …]}}, {"within": [account, …]}: accounts that lie on the path.
--
-- Every word is compared, none becomes SQL. A stable function sees one snapshot, and so does all it asks.
create or replace function sark.cost_groups_v1(
  p_org text, p_dimension text, p_unit text, p_kinds text[], p_tags text[], p_from_day date, p_to_day date,
  p_from_at timestamptz, p_to_at timestamptz, p_timezone text, p_own boolean, p_filters jsonb
) returns table (
  bucket timestamp, key_1 text, key_2 text, key_3 text, key_4 text, charges bigint, actual_nanousd bigint,
  estimated_nanousd bigint, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,
  cache_write_tokens bigint
) language plpgsql stable
-- No sorting: behind the mark there are few rows, which the planner takes for many where chunks are compressed.
set plan_cache_mode = force_custom_plan set enable_sort = off set jit = off set work_mem = '64MB' as $$
declare
  v_kind_1 constant text := p_kinds[1];
  v_kind_2 constant text := p_kinds[2];
  v_kind_3 constant text := p_kinds[3];
  v_kind_4 constant text := p_kinds[4];
  v_principals constant text[] := (select array_agg(w) from jsonb_array_elements_text(p_filters -> 'principal') w);
  v_teams constant text[] := (select array_agg(w) from jsonb_array_elements_text(p_filters -> 'team') w);
  v_resources constant text[] := (select array_agg(w) from jsonb_array_elements_text(p_filters -> 'resource') w);
  v_capabilities constant text[] := (select array_agg(w) from jsonb_array_elements_text(p_filters -> 'capability') w);
  v_providers constant text[] := (select array_agg(w) from jsonb_array_elements_text(p_filters -> 'provider') w);
  v_models constant text[] := (select array_agg(w) from jsonb_array_elements_text(p_filters -> 'model') w);
  v_within constant text[] := (select array_agg(w) from jsonb_array_elements_text(p_filters -> 'within') w);
  v_tags constant jsonb := nullif(p_filters -> 'tag', '{}');
  v_tag constant text := coalesce(
    (select t from unnest(p_tags) t where t is not null limit 1), (select jsonb_object_keys(v_tags) limit 1));
  -- Summaries of tags and accounts leave out what has none; the org's have it.
  v_rest constant boolean := p_dimension in ('tag', 'account')
    and ('tag' = any (p_kinds) and v_tags is null or 'team' = any (p_kinds) and v_teams is null);
  -- The keys of a summary that are asked for: of one tag, of one account or principal.
  v_first constant text := case when p_dimension = 'tag' then v_tag || '=' end;
  v_beyond constant text := case when p_dimension = 'tag' then v_tag || '>' end;
  v_own_key constant text := case p_dimension
    when 'principal' then substr(v_within[1], length(p_org) + 12) else v_within[1] end;
  -- No charge of a day lies further from it than this, whatever the time zone.
  v_from_at constant timestamptz :=
    coalesce(p_from_at, p_from_day::timestamp at time zone 'UTC' - interval '1 day');
  v_to_at constant timestamptz := coalesce(p_to_at, p_to_day::timestamp at time zone 'UTC' + interval '1 day');
  v_mark sark.fold_mark;
begin
  if p_dimension is null then
    return query
    select
      s.bucket, s.key_1, s.key_2, s.key_3, s.key_4, sum(s.charges)::bigint, sum(s.actual_nanousd)::bigint,
      sum(s.estimated_nanousd)::bigint, coalesce(sum(s.input_tokens), 0)::bigint,
      coalesce(sum(s.output_tokens), 0)::bigint, coalesce(sum(s.cache_read_tokens), 0)::bigint,
      coalesce(sum(s.cache_write_tokens), 0)::bigint
    from sark.cost_lines_v1(p_org, p_dimension, p_unit, p_kinds, p_tags, p_from_day, p_to_day, v_from_at, v_to_at,
      p_timezone, p_own, null, null, v_tag, v_principals, v_teams, v_resources, v_capabilities, v_providers,
      v_models, v_within, v_tags) s
    group by 1, 2, 3, 4, 5
    having sum(s.charges) <> 0 or sum(s.actual_nanousd) <> 0 or sum(s.estimated_nanousd) <> 0;
    return;
  end if;
  select * into v_mark from sark.fold_mark;
  return query
  with summed as (
    select
      case p_unit when 'day' then d.day::timestamp when 'month' then date_trunc('month', d.day::timestamp) end as bucket,
      case when d.rest and v_kind_1 in ('tag', 'team') then null
        else sark.cost_summary_key_v1(v_kind_1, d.org, d.key) end as key_1,
      case when d.rest and v_kind_2 in ('tag', 'team') then null
        else sark.cost_summary_key_v1(v_kind_2, d.org, d.key) end as key_2,
      case when d.rest and v_kind_3 in ('tag', 'team') then null
        else sark.cost_summary_key_v1(v_kind_3, d.org, d.key) end as key_3,
      case when d.rest and v_kind_4 in ('tag', 'team') then null
        else sark.cost_summary_key_v1(v_kind_4, d.org, d.key) end as key_4,
      d.sign * d.charges as charges, d.sign * d.actual_nanousd as actual_nanousd,
      d.sign * d.estimated_nanousd as estimated_nanousd, d.sign * d.input_tokens as input_tokens,
      d.sign * d.output_tokens as output_tokens, d.sign * d.cache_read_tokens as cache_read_tokens,
      d.sign * d.cache_write_tokens as cache_write_tokens
    from (
      select d.*, r.sign, r.rest
      from sark.daily_costs d
      cross join (values (1, false), (-1, true)) r(sign, rest)
      where d.dimension = p_dimension and (not r.rest or v_rest)
        and (v_first is null or d.key >= v_first and d.key < v_beyond)
        and (p_dimension <> 'account' or v_within is not null or starts_with(d.key, d.org || '/team/'))
        and (v_principals is null or d.key = any (v_principals))
        and (v_resources is null or d.key = any (v_resources))
        and (v_capabilities is null or d.key = any (v_capabilities))
        and (v_providers is null or split_part(d.key, '/', 1) = any (v_providers))
        and (v_models is null or substr(d.key, strpos(d.key, '/') + 1) = any (v_models))
        and (v_teams is null or substr(d.key, length(d.org) + 7) = any (v_teams))
        and (v_within is null or d.key = v_own_key)
        and (v_tags is null or v_tags -> v_tag ? substr(d.key, length(v_tag) + 2))
      union all
      select d.*, 1, true from sark.daily_costs d where d.dimension = 'org' and v_rest
    ) d
    where p_dimension not in ('team_model', 'team_principal')
      and (p_org is null or d.org = p_org) and d.day >= p_from_day and d.day < p_to_day
    union all
    select
      case p_unit when 'day' then g.day::timestamp when 'month' then date_trunc('month', g.day::timestamp) end,
      sark.cost_group_key_v1(v_kind_1, g.org, g.path, g.principal_id, g.resource_id, g.provider, g.model),
      sark.cost_group_key_v1(v_kind_2, g.org, g.path, g.principal_id, g.resource_id, g.provider, g.model),
      sark.cost_group_key_v1(v_kind_3, g.org, g.path, g.principal_id, g.resource_id, g.provider, g.model),
      sark.cost_group_key_v1(v_kind_4, g.org, g.path, g.principal_id, g.resource_id, g.provider, g.model),
      g.charges, g.actual_nanousd, g.estimated_nanousd, g.input_tokens, g.output_tokens, g.cache_read_tokens,
      g.cache_write_tokens
    from sark.daily_groups g
    where p_dimension in ('team_model', 'team_principal') and g.grain = p_dimension
      and (p_org is null or g.org = p_org) and g.day >= p_from_day and g.day < p_to_day
      and (v_principals is null or g.principal_id = any (v_principals))
      and (v_resources is null or g.resource_id = any (v_resources))
      and (v_providers is null or g.provider = any (v_providers))
      and (v_models is null or g.model = any (v_models))
      and (v_within is null or string_to_array(g.path, e'\n') @> v_within)
      and (v_teams is null
        or coalesce(sark.cost_group_key_v1('team', g.org, g.path, null, null, null, null), '') = any (v_teams))
    union all
    select * from sark.cost_lines_v1(p_org, p_dimension, p_unit, p_kinds, p_tags, p_from_day, p_to_day, v_from_at,
      v_to_at, p_timezone, p_own, v_mark.xid, v_mark.recorded_from, v_tag, v_principals, v_teams, v_resources,
      v_capabilities, v_providers, v_models, v_within, v_tags)
  )
  select
    s.bucket, s.key_1, s.key_2, s.key_3, s.key_4, sum(s.charges)::bigint, sum(s.actual_nanousd)::bigint,
    sum(s.estimated_nanousd)::bigint, coalesce(sum(s.input_tokens), 0)::bigint,
    coalesce(sum(s.output_tokens), 0)::bigint, coalesce(sum(s.cache_read_tokens), 0)::bigint,
    coalesce(sum(s.cache_write_tokens), 0)::bigint
  from summed s
  group by 1, 2, 3, 4, 5
  having sum(s.charges) <> 0 or sum(s.actual_nanousd) <> 0 or sum(s.estimated_nanousd) <> 0;
end $$;
