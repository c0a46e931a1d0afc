-- What a hold sets aside in each of its meters: one call; the upper bound of its tokens where enforcement is hard, else
-- the expected ones. p_request: a HoldRequest; one that states no tokens has none.
create or replace function sark.meter_amounts_v1(p_org text, p_meters text[], p_request jsonb) returns bigint[]
language sql stable as $$
  select array_agg(case
    when (p_request ->> 'direct')::boolean then 0
    when split_part(m.meter, E'\x1f', 2) = 'calls' then 1
    when c.enforcement = 'hard' then coalesce((p_request ->> 'upper_tokens')::bigint, 0)
    else coalesce((p_request ->> 'expected_tokens')::bigint, 0)
  end order by m.ordinal)
  from unnest(p_meters) with ordinality m(meter, ordinal)
  join sark.counters c on c.org = p_org and c.account = m.meter
$$;
