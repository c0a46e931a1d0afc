-- Book a cost that never had a hold, in one step: a hold of nothing, which every limit lets pass, and its settlement.
-- Answers [status, unknown, charge]; status is settled, conflict or unknown_account.
create or replace function sark.charge_v1(
  p_request jsonb, p_settlement jsonb, p_create_orgs boolean, p_now timestamptz default null
) returns json language plpgsql as $$
declare
  v_held json;
  v_settled json;
begin
  v_held := sark.hold_batch_v1(
    jsonb_build_array(p_request || '{"direct": true}'), p_create_orgs, p_now) -> 'answers' -> 0;
  if v_held ->> 0 = 'unknown_account' then
    return json_build_array('unknown_account', v_held ->> 4, null);
  end if;
  if v_held ->> 0 = 'conflict' or exists (
    select from sark.holds h
    where h.org = p_request ->> 'org' and h.request_id = p_request ->> 'request_id' and not h.direct
  ) then
    return json_build_array('conflict', null, null);  -- the request_id belongs to a hold; its settlement books it
  end if;
  v_settled := sark.settle_batch_v1(jsonb_build_array(p_settlement), p_now) -> 0;
  return json_build_array(
    case v_settled ->> 0 when 'ended' then 'conflict' else v_settled ->> 0 end, null, v_settled -> 1);
end $$;
