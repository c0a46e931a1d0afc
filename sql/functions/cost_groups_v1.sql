-- What was charged, in groups: one row for each that has charges, in no order.
--
-- p_dimension: the dimension of the daily summaries that has the answer; what is behind the mark is added from the
-- charges. Null: the charges alone. p_unit: hour, day, month or null. p_kinds, p_tags: up to four words for
-- sark.cost_key_v1, and beside each the name of its tag. The period is half-open; each end is a day or an instant,
-- instants only without a dimension. p_own: days are those the budgets counted; else those of p_timezone. p_filters:
-- {kind: [value, …]}, {"tag": {name: [value, …]}}, {"within": [account, …]}: accounts that lie on the path.
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
set plan_cache_mode = force_custom_plan set enable_sort = off set jit = off as $$
declare
  v_kind_1 constant text := p_kinds[1];
  v_kind_2 constant text := p_kinds[2];
  v_kind_3 constant text := p_kinds[3];
  v_kind_4 constant text := p_kinds[4];
  v_tag_1 constant text := p_tags[1];
  v_tag_2 constant text := p_tags[2];
  v_tag_3 constant text := p_tags[3];
  v_tag_4 constant text := p_tags[4];
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
  v_rest constant boolean := 'tag' = any (p_kinds) and v_tags is null or 'team' = any (p_kinds) and v_teams is null;
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
      select d.*, 1, true from sark.daily_costs d where d.dimension = 'org' and v_rest and p_dimension is not null
    ) d
    where (p_org is null or d.org = p_org) and d.day >= p_from_day and d.day < p_to_day
    union all
    select
      case p_unit
        when 'hour' then (t.time - (l.at - date_trunc('hour', l.at))) at time zone 'UTC'
        when 'day' then l.day::timestamp
        when 'month' then date_trunc('month', l.day::timestamp)
      end,
      case when p_dimension = 'tag' and v_kind_1 = 'tag' then sark.cost_tag_v1(t.org, v_tag, k.key_1) else k.key_1 end,
      case when p_dimension = 'tag' and v_kind_2 = 'tag' then sark.cost_tag_v1(t.org, v_tag, k.key_2) else k.key_2 end,
      case when p_dimension = 'tag' and v_kind_3 = 'tag' then sark.cost_tag_v1(t.org, v_tag, k.key_3) else k.key_3 end,
      case when p_dimension = 'tag' and v_kind_4 = 'tag' then sark.cost_tag_v1(t.org, v_tag, k.key_4) else k.key_4 end,
      v.sign, t.actual_nanousd, v.sign * t.estimated_nanousd,
      v.sign * (t.tokens ->> 'input_tokens')::bigint, v.sign * (t.tokens ->> 'output_tokens')::bigint,
      v.sign * (t.tokens ->> 'cache_read_tokens')::bigint, v.sign * (t.tokens ->> 'cache_write_tokens')::bigint
    from sark.cost_tracking t
    cross join lateral (select case t.kind when 'reversal' then -1 else 1 end as sign) v
    cross join lateral (select t.time at time zone p_timezone as at,
      case when p_own then t.budget_day else (t.time at time zone p_timezone)::date end as day) l
    cross join lateral (
      select sark.cost_key_v1(v_kind_1, v_tag_1, t.org, t.path, t.principal_id, t.resource_id, t.capability_id,
          t.provider, t.model, t.tags) as key_1,
        sark.cost_key_v1(v_kind_2, v_tag_2, t.org, t.path, t.principal_id, t.resource_id, t.capability_id,
          t.provider, t.model, t.tags) as key_2,
        sark.cost_key_v1(v_kind_3, v_tag_3, t.org, t.path, t.principal_id, t.resource_id, t.capability_id,
          t.provider, t.model, t.tags) as key_3,
        sark.cost_key_v1(v_kind_4, v_tag_4, t.org, t.path, t.principal_id, t.resource_id, t.capability_id,
          t.provider, t.model, t.tags) as key_4
    ) k
    where (p_org is null or t.org = p_org) and t.time >= v_from_at and t.time < v_to_at
      and (p_dimension is null or t.xid >= v_mark.xid and t.recorded_at >= v_mark.recorded_from)
      and (p_from_day is null or l.day >= p_from_day) and (p_to_day is null or l.day < p_to_day)
      and (v_principals is null or t.principal_id = any (v_principals))
      and (v_resources is null or t.resource_id = any (v_resources))
      and (v_capabilities is null or t.capability_id = any (v_capabilities))
      and (v_providers is null or coalesce(t.provider, '') = any (v_providers))
      and (v_models is null or coalesce(t.model, '') = any (v_models))
      and (v_within is null or t.path @> v_within)
      and (v_teams is null or coalesce(sark.cost_key_v1('team', null, t.org, t.path, t.principal_id, t.resource_id,
        t.capability_id, t.provider, t.model, t.tags), '') = any (v_teams))
      and (v_tags is null or (
        select bool_and(coalesce(f.value ? (t.tags ->> f.key), false)) from jsonb_each(v_tags) f
      ))
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
