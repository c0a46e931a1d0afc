-- What a request is charged by now: {charged_at, actual_nanousd, tokens}; charged_at is null when nothing was charged.
--
-- When its charges lie is known from its hold and is a constant of the statement, so that one partition is read.
create or replace function sark.federation_booked_v1(p_org text, p_request text) returns json language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off as $$
declare
  v_at timestamptz;
begin
  select h.charged_at into v_at from sark.holds h where h.org = p_org and h.request_id = p_request;
  return (
    with entries as (
      select k.actual_nanousd, k.tokens, case k.kind when 'reversal' then -1 else 1 end as sign
      from sark.cost_tracking k where k.org = p_org and k.request_id = p_request and k.time = v_at
    ), tokens as (
      select x.key, sum(e.sign * x.value::bigint)::bigint as tokens
      from entries e cross join lateral jsonb_each_text(e.tokens) x group by x.key
    )
    select json_build_object(
      'charged_at', case when count(*) > 0 then v_at end,
      'actual_nanousd', coalesce(sum(e.actual_nanousd), 0)::bigint,
      'tokens', coalesce((select json_object_agg(t.key, t.tokens) from tokens t), '{}')
    )
    from entries e
  );
end $$;
