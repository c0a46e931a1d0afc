-- Add the charges of transactions p_from to below p_to that were recorded since p_recorded_from to the summaries; of
-- them, unless null, only those of one span of time and of days after p_after_day. Answers how many rows that were.
-- Only sark.fold_v1 and sark.rebuild_summaries_v1 call it, with the mark locked, so one at a time.
--
-- Charges are grouped once, as finely as the summaries need; sums of one dimension are worked out from those groups.
create or replace function sark.fold_rows_v1(
  p_from bigint, p_to bigint, p_recorded_from timestamptz,
  p_time_from timestamptz default null, p_time_to timestamptz default null, p_after_day date default null
) returns bigint language plpgsql set jit = off set work_mem = '64MB' as $$
declare
  v_rows bigint;
begin
  with folded as materialized (
    select
      t.org, t.budget_day, t.path, t.path[2:] as above, t.principal_id, t.resource_id, t.capability_id, t.tags,
      coalesce(t.provider, '') as provider, coalesce(t.model, '') as model, s.sign as charges, t.actual_nanousd,
      s.sign * t.estimated_nanousd as estimated_nanousd,
      s.sign * coalesce((t.tokens ->> 'input_tokens')::bigint, 0) as input_tokens,
      s.sign * coalesce((t.tokens ->> 'output_tokens')::bigint, 0) as output_tokens,
      s.sign * coalesce((t.tokens ->> 'cache_read_tokens')::bigint, 0) as cache_read_tokens,
      s.sign * coalesce((t.tokens ->> 'cache_write_tokens')::bigint, 0) as cache_write_tokens,
      case when t.kind = 'charge' and t.rerating_id is null and t.estimated_nanousd > 0 and not t.estimated then
        greatest(-20, least(40, floor((t.actual_nanousd - t.estimated_nanousd) * 20.0 / t.estimated_nanousd)))::smallint
      end as bucket
    from sark.cost_tracking t
    cross join lateral (select case t.kind when 'reversal' then -1 else 1 end as sign) s
    where t.xid >= p_from and t.xid < p_to and t.recorded_at >= p_recorded_from
      and (p_time_from is null or t.time >= p_time_from and t.time < p_time_to)
      and (p_after_day is null or t.budget_day > p_after_day)
  ), grouped as materialized (
    select
      org, budget_day,
      case when grouping(above) = 0 then 'team_model' when grouping(principal_id) = 0 then 'team_principal'
        when grouping(capability_id) = 0 then 'capability' else 'tags' end as grain,
      above, path, principal_id, resource_id, provider, model, capability_id, tags,
      sum(charges)::bigint as charges,
      sum(actual_nanousd)::bigint as actual_nanousd, sum(estimated_nanousd)::bigint as estimated_nanousd,
      sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
      sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens
    from folded
    group by grouping sets ((org, budget_day, above, resource_id, provider, model),
      (org, budget_day, path, principal_id), (org, budget_day, capability_id), (org, budget_day, tags))
  ), lines as (
    select
      org, budget_day,
      case when grouping(resource_id) = 0 then 'resource' when grouping(model) = 0 then 'model'
        else 'org' end as dimension,
      case when grouping(resource_id) = 0 then resource_id when grouping(model) = 0 then provider || '/' || model
        else '' end as key,
      sum(charges)::bigint as charges,
      sum(actual_nanousd)::bigint as actual_nanousd, sum(estimated_nanousd)::bigint as estimated_nanousd,
      sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
      sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens
    from grouped
    where grain = 'team_model'
    group by grouping sets ((org, budget_day), (org, budget_day, resource_id), (org, budget_day, provider, model))
    union all
    select org, budget_day, 'principal', principal_id, sum(charges)::bigint as charges,
      sum(actual_nanousd)::bigint as actual_nanousd, sum(estimated_nanousd)::bigint as estimated_nanousd,
      sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
      sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens
    from grouped
    where grain = 'team_principal'
    group by org, budget_day, principal_id
    union all
    select org, budget_day, 'capability', capability_id, charges, actual_nanousd, estimated_nanousd, input_tokens,
      output_tokens, cache_read_tokens, cache_write_tokens
    from grouped
    where grain = 'capability'
    union all
    select org, budget_day, 'account', a.account, sum(charges)::bigint as charges,
      sum(actual_nanousd)::bigint as actual_nanousd, sum(estimated_nanousd)::bigint as estimated_nanousd,
      sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
      sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens
    from grouped cross join lateral unnest(above[:cardinality(above) - 1]) a(account)
    where grain = 'team_model'
    group by org, budget_day, a.account
    union all
    select org, budget_day, 'tag', kept_key, sum(charges)::bigint as charges,
      sum(actual_nanousd)::bigint as actual_nanousd, sum(estimated_nanousd)::bigint as estimated_nanousd,
      sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
      sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens
    from (
      select f.*, sark.tag_key_v1(f.org, f.key) as kept_key  -- after the sums, since a tag's name is looked up
      from (
        select org, budget_day, g.key || '=' || g.value as key, sum(charges)::bigint as charges,
          sum(actual_nanousd)::bigint as actual_nanousd, sum(estimated_nanousd)::bigint as estimated_nanousd,
          sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
          sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens
        from grouped cross join lateral jsonb_each_text(tags) g
        where grain = 'tags' and tags <> '{}'
        group by org, budget_day, g.key || '=' || g.value
      ) f
    ) k
    group by org, budget_day, kept_key
  ), written as (
    insert into sark.daily_costs as d (
      org, dimension, key, day, charges, actual_nanousd, estimated_nanousd, input_tokens, output_tokens,
      cache_read_tokens, cache_write_tokens
    )
    select org, dimension, key, budget_day, charges, actual_nanousd, estimated_nanousd, input_tokens, output_tokens,
      cache_read_tokens, cache_write_tokens
    from lines
    order by org, dimension, budget_day, key
    on conflict (org, dimension, day, key) do update set
      charges = d.charges + excluded.charges, actual_nanousd = d.actual_nanousd + excluded.actual_nanousd,
      estimated_nanousd = d.estimated_nanousd + excluded.estimated_nanousd,
      input_tokens = d.input_tokens + excluded.input_tokens, output_tokens = d.output_tokens + excluded.output_tokens,
      cache_read_tokens = d.cache_read_tokens + excluded.cache_read_tokens,
      cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens
  ), kept as (
    insert into sark.daily_groups as d (
      org, grain, day, path, principal_id, resource_id, provider, model, charges, actual_nanousd,
      estimated_nanousd, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
    )
    select
      org, grain, budget_day, case grain when 'team_model' then e'\n' || array_to_string(above, e'\n')
        else array_to_string(path, e'\n') end,
      coalesce(principal_id, ''), coalesce(resource_id, ''), coalesce(provider, ''), coalesce(model, ''), charges,
      actual_nanousd, estimated_nanousd, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
    from grouped
    where grain in ('team_model', 'team_principal')
    order by 1, 2, 3, 4, 5, 6, 7, 8
    on conflict (org, grain, day, path, principal_id, resource_id, provider, model) do update set
      charges = d.charges + excluded.charges, actual_nanousd = d.actual_nanousd + excluded.actual_nanousd,
      estimated_nanousd = d.estimated_nanousd + excluded.estimated_nanousd,
      input_tokens = d.input_tokens + excluded.input_tokens, output_tokens = d.output_tokens + excluded.output_tokens,
      cache_read_tokens = d.cache_read_tokens + excluded.cache_read_tokens,
      cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens
  ), off as (
    insert into sark.daily_estimate_errors as d (org, key, day, bucket, charges)
    select org, provider || '/' || model, budget_day, bucket, count(*) from folded where bucket is not null
    group by 1, 2, 3, 4
    order by 1, 3, 2, 4
    on conflict (org, day, key, bucket) do update set charges = d.charges + excluded.charges
  )
  select count(*) into v_rows from folded;
  return v_rows;
end $$;
