-- Add the charges of transactions p_from to below p_to that were recorded since p_recorded_from to the summaries; of
-- them, unless null, only those of one span of time and of days after p_after_day. Answers how many rows that were.
-- Only sark.fold_v1 and sark.rebuild_summaries_v1 call it, with the mark locked, so one at a time.
create or replace function sark.fold_rows_v1(
  p_from bigint, p_to bigint, p_recorded_from timestamptz,
  p_time_from timestamptz default null, p_time_to timestamptz default null, p_after_day date default null
) returns bigint
language plpgsql set jit = off as $$
declare
  v_rows bigint;
begin
  with folded as materialized (
    select
      t.*, case when t.kind = 'reversal' then -1 else 1 end as sign,
      coalesce(t.provider, '') || '/' || coalesce(t.model, '') as model_key
    from sark.cost_tracking t
    where t.xid >= p_from and t.xid < p_to and t.recorded_at >= p_recorded_from
      and (p_time_from is null or t.time >= p_time_from and t.time < p_time_to)
      and (p_after_day is null or t.budget_day > p_after_day)
  ), lines as (
    select f.org, l.dimension, l.key, f.budget_day, sum(f.sign) as charges, sum(f.actual_nanousd) as actual_nanousd,
      sum(f.sign * f.estimated_nanousd) as estimated_nanousd,
      sum(f.sign * (f.tokens ->> 'input_tokens')::bigint) as input_tokens,
      sum(f.sign * (f.tokens ->> 'output_tokens')::bigint) as output_tokens,
      sum(f.sign * (f.tokens ->> 'cache_read_tokens')::bigint) as cache_read_tokens,
      sum(f.sign * (f.tokens ->> 'cache_write_tokens')::bigint) as cache_write_tokens
    from folded f
    cross join lateral (
      values ('org', ''), ('principal', f.principal_id), ('resource', f.resource_id),
        ('capability', f.capability_id), ('model', f.model_key)
      union all
      select 'account', a from unnest(f.path[2:cardinality(f.path) - 1]) a
      union all
      select 'tag', g.key || '=' || g.value from jsonb_each_text(f.tags) g
    ) l(dimension, key)
    group by f.org, l.dimension, l.key, f.budget_day
  ), named as materialized (  -- after the sums, since a tag's name is looked up
    select l.*, case l.dimension when 'tag' then sark.tag_key_v1(l.org, l.key) else l.key end as kept_key from lines l
  ), written as (
    insert into sark.daily_costs as d (
      org, dimension, key, day, charges, actual_nanousd, estimated_nanousd, input_tokens, output_tokens,
      cache_read_tokens, cache_write_tokens
    )
    select org, dimension, kept_key, budget_day, sum(charges), sum(actual_nanousd), sum(estimated_nanousd),
      coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cache_read_tokens), 0),
      coalesce(sum(cache_write_tokens), 0)
    from named
    group by org, dimension, kept_key, budget_day
    on conflict (org, dimension, day, key) do update set
      charges = d.charges + excluded.charges, actual_nanousd = d.actual_nanousd + excluded.actual_nanousd,
      estimated_nanousd = d.estimated_nanousd + excluded.estimated_nanousd,
      input_tokens = d.input_tokens + excluded.input_tokens, output_tokens = d.output_tokens + excluded.output_tokens,
      cache_read_tokens = d.cache_read_tokens + excluded.cache_read_tokens,
      cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens
  ), off as (
    insert into sark.daily_estimate_errors as d (org, key, day, bucket, charges)
    select f.org, f.model_key, f.budget_day,
      greatest(-20, least(40, floor((f.actual_nanousd - f.estimated_nanousd) * 20.0 / f.estimated_nanousd)))::smallint,
      count(*)
    from folded f
    where f.kind = 'charge' and f.estimated_nanousd > 0 and not f.estimated
    group by 1, 2, 3, 4
    on conflict (org, day, key, bucket) do update set charges = d.charges + excluded.charges
  )
  select count(*) into v_rows from folded;
  return v_rows;
end $$;
