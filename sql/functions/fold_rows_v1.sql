-- Add the charges of transactions p_from to below p_to that were recorded since p_recorded_from to the summaries; of
-- them, unless null, only those of one span of time and of days after p_after_day. Answers how many rows that were.
-- Only sark.fold_v1 and sark.rebuild_summaries_v1 call it, with the mark locked, so one at a time.
create or replace function sark.fold_rows_v1(
  p_from bigint, p_to bigint, p_recorded_from timestamptz,
  p_time_from timestamptz default null, p_time_to timestamptz default null, p_after_day date default null
) returns bigint language plpgsql set jit = off set work_mem = '64MB' as $$
declare
  v_rows bigint;
begin
  with folded as materialized (
    select
      t.org, t.budget_day, t.path, t.principal_id, t.resource_id, t.capability_id, t.tags, s.sign as charges,
      coalesce(t.provider, '') || '/' || coalesce(t.model, '') as model_key, t.actual_nanousd,
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
  ), lines as (
    select org, budget_day,
      case when grouping(principal_id) = 0 then 'principal' when grouping(resource_id) = 0 then 'resource'
        when grouping(capability_id) = 0 then 'capability' when grouping(model_key) = 0 then 'model' else 'org'
      end as dimension,
      coalesce(principal_id, resource_id, capability_id, model_key, '') as key,
      sum(charges) as charges, sum(actual_nanousd) as actual_nanousd, sum(estimated_nanousd) as estimated_nanousd,
      sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens,
      sum(cache_read_tokens) as cache_read_tokens, sum(cache_write_tokens) as cache_write_tokens
    from folded
    group by grouping sets ((org, budget_day), (org, budget_day, principal_id), (org, budget_day, resource_id),
      (org, budget_day, capability_id), (org, budget_day, model_key))
    union all
    select f.org, f.budget_day, 'account', a.account, sum(f.charges), sum(f.actual_nanousd), sum(f.estimated_nanousd),
      sum(f.input_tokens), sum(f.output_tokens), sum(f.cache_read_tokens), sum(f.cache_write_tokens)
    from folded f cross join lateral unnest(f.path[2:cardinality(f.path) - 1]) a(account)
    group by f.org, f.budget_day, a.account
    union all
    select f.org, f.budget_day, 'tag', g.key || '=' || g.value, sum(f.charges), sum(f.actual_nanousd),
      sum(f.estimated_nanousd), sum(f.input_tokens), sum(f.output_tokens), sum(f.cache_read_tokens),
      sum(f.cache_write_tokens)
    from folded f cross join lateral jsonb_each_text(f.tags) g
    where f.tags <> '{}'
    group by f.org, f.budget_day, g.key || '=' || g.value
  ), named as materialized (  -- after the sums, since a tag's name is looked up
    select l.*, case l.dimension when 'tag' then sark.tag_key_v1(l.org, l.key) else l.key end as kept_key from lines l
  ), written as (
    insert into sark.daily_costs as d (
      org, dimension, key, day, charges, actual_nanousd, estimated_nanousd, input_tokens, output_tokens,
      cache_read_tokens, cache_write_tokens
    )
    select org, dimension, kept_key, budget_day, sum(charges), sum(actual_nanousd), sum(estimated_nanousd),
      sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens)
    from named
    group by org, dimension, kept_key, budget_day
    order by org, dimension, budget_day, kept_key
    on conflict (org, dimension, day, key) do update set
      charges = d.charges + excluded.charges, actual_nanousd = d.actual_nanousd + excluded.actual_nanousd,
      estimated_nanousd = d.estimated_nanousd + excluded.estimated_nanousd,
      input_tokens = d.input_tokens + excluded.input_tokens, output_tokens = d.output_tokens + excluded.output_tokens,
      cache_read_tokens = d.cache_read_tokens + excluded.cache_read_tokens,
      cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens
  ), off as (
    insert into sark.daily_estimate_errors as d (org, key, day, bucket, charges)
    select org, model_key, budget_day, bucket, count(*) from folded where bucket is not null
    group by org, model_key, budget_day, bucket
    on conflict (org, day, key, bucket) do update set charges = d.charges + excluded.charges
  )
  select count(*) into v_rows from folded;
  return v_rows;
end $$;
