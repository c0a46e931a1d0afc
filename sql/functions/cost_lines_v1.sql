-- Charges one by one, as sark.cost_groups_v1 groups them: their time, what they are grouped by, and signed figures.
-- p_mark_xid, p_mark_from: only what is not in the summaries yet; null: all. Filters are lists of words, null for none.
--
-- One statement without settings, so that it becomes part of the one that asks: what it is not asked for costs nothing,
-- and a server may read in parallel what is much.
create or replace function sark.cost_lines_v1(
  p_org text, p_dimension text, p_unit text, p_kinds text[], p_tags text[], p_from_day date, p_to_day date,
  p_from_at timestamptz, p_to_at timestamptz, p_timezone text, p_own boolean, p_mark_xid bigint,
  p_mark_from timestamptz, p_tag text, p_principals text[], p_teams text[], p_resources text[], p_capabilities text[],
  p_providers text[], p_models text[], p_within text[], p_with_tags jsonb
) returns table (
  bucket timestamp, key_1 text, key_2 text, key_3 text, key_4 text, charges integer, actual_nanousd bigint,
  estimated_nanousd bigint, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,
  cache_write_tokens bigint
) language sql stable parallel safe as $$
  select
    case p_unit
      when 'hour' then (t.time - (l.at - date_trunc('hour', l.at))) at time zone 'UTC'
      when 'day' then l.day::timestamp
      when 'month' then date_trunc('month', l.day::timestamp)
    end,
    case when p_dimension = 'tag' and p_kinds[1] = 'tag' then sark.cost_tag_v1(t.org, p_tag, k.key_1) else k.key_1 end,
    case when p_dimension = 'tag' and p_kinds[2] = 'tag' then sark.cost_tag_v1(t.org, p_tag, k.key_2) else k.key_2 end,
    case when p_dimension = 'tag' and p_kinds[3] = 'tag' then sark.cost_tag_v1(t.org, p_tag, k.key_3) else k.key_3 end,
    case when p_dimension = 'tag' and p_kinds[4] = 'tag' then sark.cost_tag_v1(t.org, p_tag, k.key_4) else k.key_4 end,
    v.sign, t.actual_nanousd, v.sign * t.estimated_nanousd,
    v.sign * (t.tokens ->> 'input_tokens')::bigint, v.sign * (t.tokens ->> 'output_tokens')::bigint,
    v.sign * (t.tokens ->> 'cache_read_tokens')::bigint, v.sign * (t.tokens ->> 'cache_write_tokens')::bigint
  from sark.cost_tracking t
  cross join lateral (select case t.kind when 'reversal' then -1 else 1 end as sign) v
  cross join lateral (select t.time at time zone p_timezone as at,
    case when p_own then t.budget_day else (t.time at time zone p_timezone)::date end as day) l
  cross join lateral (
    select sark.cost_key_v1(p_kinds[1], p_tags[1], t.org, t.path, t.principal_id, t.resource_id, t.capability_id,
        t.provider, t.model, t.tags) as key_1,
      sark.cost_key_v1(p_kinds[2], p_tags[2], t.org, t.path, t.principal_id, t.resource_id, t.capability_id,
        t.provider, t.model, t.tags) as key_2,
      sark.cost_key_v1(p_kinds[3], p_tags[3], t.org, t.path, t.principal_id, t.resource_id, t.capability_id,
        t.provider, t.model, t.tags) as key_3,
      sark.cost_key_v1(p_kinds[4], p_tags[4], t.org, t.path, t.principal_id, t.resource_id, t.capability_id,
        t.provider, t.model, t.tags) as key_4
  ) k
  where (p_org is null or t.org = p_org) and t.time >= p_from_at and t.time < p_to_at
    and (p_mark_xid is null or t.xid >= p_mark_xid and t.recorded_at >= p_mark_from)
    and (p_from_day is null or l.day >= p_from_day) and (p_to_day is null or l.day < p_to_day)
    and (p_principals is null or t.principal_id = any (p_principals))
    and (p_resources is null or t.resource_id = any (p_resources))
    and (p_capabilities is null or t.capability_id = any (p_capabilities))
    and (p_providers is null or coalesce(t.provider, '') = any (p_providers))
    and (p_models is null or coalesce(t.model, '') = any (p_models))
    and (p_within is null or t.path @> p_within)
    and (p_teams is null or coalesce(sark.cost_key_v1('team', null, t.org, t.path, t.principal_id, t.resource_id,
      t.capability_id, t.provider, t.model, t.tags), '') = any (p_teams))
    and (p_with_tags is null or (
      select bool_and(coalesce(f.value ? (t.tags ->> f.key), false)) from jsonb_each(p_with_tags) f
    ))
$$;
