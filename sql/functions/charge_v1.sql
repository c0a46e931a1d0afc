-- Book a cost that never had a hold, in one step: a hold of nothing, which every limit lets pass, and its settlement.
-- Answers [status, unknown, charge]; status is settled, conflict or unknown_account; charge is null unless settled.
create or replace function sark.charge_v1(
  p_request jsonb, p_settlement jsonb, p_create_orgs boolean, p_now timestamptz default null
) returns json language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_held json;                -- [org, request_id, status, …], or null where the batch was held as it is
  v_status text;
begin
  v_held := sark.hold_batch_v2(
    jsonb_build_array(p_request || '{"direct": true}'), p_create_orgs, p_now) -> 'answers' -> 0;
  if v_held ->> 2 = 'unknown_account' then
    return json_build_array('unknown_account', v_held ->> 6, null);
  end if;
  if v_held ->> 2 = 'conflict' or exists (
    select from sark.holds h
    where h.org = p_request ->> 'org' and h.request_id = p_request ->> 'request_id' and not h.direct
  ) then
    return json_build_array('conflict', null, null);  -- the request_id belongs to a hold; its settlement books it
  end if;
  v_status := sark.settle_batch_v2(jsonb_build_array(p_settlement), p_now) -> 'status' ->> 0;
  if v_status = 'ended' then
    return json_build_array('conflict', null, null);  -- charged before, with another figure
  end if;
  return json_build_array(v_status, null, (
    select sark.charge_json_v1(h) from sark.holds h
    where h.org = p_request ->> 'org' and h.request_id = p_request ->> 'request_id' and h.state = 'settled'
  ));
end $$;
