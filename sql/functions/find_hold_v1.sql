-- The hold of a request as sark.hold_json_v1 gives it, or null: a look.
create or replace function sark.find_hold_v1(p_org text, p_request text) returns json language sql stable as $$
  select sark.hold_json_v1(h) from sark.holds h where h.org = p_org and h.request_id = p_request
$$;
