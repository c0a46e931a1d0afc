-- A hold as it stands.
create or replace function sark.hold_json_v1(h sark.holds) returns json language sql stable as $$
  select json_build_array(
    h.path, h.state, h.amounts, h.booked, h.charged_at, h.expires_at, h.attribution
  )
$$;
