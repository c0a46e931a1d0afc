-- The tokens that a hold has set aside: the most in any of its meters; null when none of them counts tokens.
create or replace function sark.held_tokens_v1(p_meters text[], p_amounts sark.amount[]) returns bigint
language sql immutable as $$
  select max(m.amount)::bigint from unnest(p_meters, p_amounts) m(meter, amount)
  where split_part(m.meter, E'\x1f', 2) = 'tokens'
$$;
