-- What was charged in a period, in groups: a page of them, and the sums over all. The parameters up to p_filters are
-- those of sark.cost_groups_v1.
--
-- p_order: key (by time, then by name), or a figure, largest first: actual_usd, estimated_usd, charges, input_tokens,
-- output_tokens. p_after: null, or what the last row of the page before had as its place. Answers
-- [now, groups, sums, [[bucket, [key, …], figures, place], …]]; sums and figures are [charges, actual, estimated,
-- input, output, cache read and cache write tokens], amounts in nanousd.
create or replace function sark.cost_summary_v1(
  p_org text, p_dimension text, p_unit text, p_kinds text[], p_tags text[], p_from_day date, p_to_day date,
  p_from_at timestamptz, p_to_at timestamptz, p_timezone text, p_own boolean, p_filters jsonb, p_order text,
  p_limit integer, p_after jsonb
) returns json language plpgsql stable set jit = off as $$
declare
  v_answer json;
begin
  with groups as materialized (
    select
      g.*,
      -- A place among all groups, null first: figures downwards, then time and names upwards.
      -case p_order
        when 'actual_usd' then g.actual_nanousd when 'estimated_usd' then g.estimated_nanousd
        when 'charges' then g.charges when 'input_tokens' then g.input_tokens
        when 'output_tokens' then g.output_tokens else 0
      end as figure,
      coalesce(g.bucket, '-infinity') as at, coalesce('1' || g.key_1, '') as k_1, coalesce('1' || g.key_2, '') as k_2,
      coalesce('1' || g.key_3, '') as k_3, coalesce('1' || g.key_4, '') as k_4
    from sark.cost_groups_v1(p_org, p_dimension, p_unit, p_kinds, p_tags, p_from_day, p_to_day, p_from_at, p_to_at,
      p_timezone, p_own, p_filters) g
  ), page as (
    select * from groups g
    where p_after is null
      or (g.figure, g.at, g.k_1 collate "C", g.k_2 collate "C", g.k_3 collate "C", g.k_4 collate "C")
        > ((p_after ->> 0)::bigint, (p_after ->> 1)::timestamp, p_after ->> 2, p_after ->> 3, p_after ->> 4,
          p_after ->> 5)
    order by g.figure, g.at, g.k_1 collate "C", g.k_2 collate "C", g.k_3 collate "C", g.k_4 collate "C"
    limit p_limit
  )
  select json_build_array(
    now(), count(*),
    json_build_array(coalesce(sum(g.charges), 0)::bigint, coalesce(sum(g.actual_nanousd), 0)::bigint,
      coalesce(sum(g.estimated_nanousd), 0)::bigint, coalesce(sum(g.input_tokens), 0)::bigint,
      coalesce(sum(g.output_tokens), 0)::bigint, coalesce(sum(g.cache_read_tokens), 0)::bigint,
      coalesce(sum(g.cache_write_tokens), 0)::bigint),
    (select coalesce(json_agg(json_build_array(
        p.bucket, json_build_array(p.key_1, p.key_2, p.key_3, p.key_4),
        json_build_array(p.charges, p.actual_nanousd, p.estimated_nanousd, p.input_tokens, p.output_tokens,
          p.cache_read_tokens, p.cache_write_tokens),
        json_build_array(p.figure, p.at, p.k_1, p.k_2, p.k_3, p.k_4)
      ) order by p.figure, p.at, p.k_1 collate "C", p.k_2 collate "C", p.k_3 collate "C", p.k_4 collate "C"), '[]')
      from page p)
  ) into v_answer from groups g;
  return v_answer;
end $$;
