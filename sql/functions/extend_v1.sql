-- Let a hold live p_ttl_s seconds from now, never shorter than before. Answers [status, hold]; status is extended,
-- ended or unknown.
create or replace function sark.extend_v1(
  p_org text, p_request text, p_ttl_s integer, p_now timestamptz default null
) returns json language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  v_hold sark.holds;
begin
  update sark.holds h
  set expires_at = greatest(h.expires_at, coalesce(p_now, clock_timestamp()) + make_interval(secs => p_ttl_s))
  where h.org = p_org and h.request_id = p_request and h.state = 'held'
  returning h.* into v_hold;
  if found then
    return json_build_array('extended', sark.hold_json_v1(v_hold));
  end if;
  -- A hold that is held after all was taken between the two statements: when it was looked for, there was none.
  select * into v_hold from sark.holds h where h.org = p_org and h.request_id = p_request and h.state <> 'held';
  if found then
    return json_build_array('ended', sark.hold_json_v1(v_hold));
  end if;
  return json_build_array('unknown', null);
end $$;
