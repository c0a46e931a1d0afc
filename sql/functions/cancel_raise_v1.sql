-- End a raise before its time. Answers [status, raise]: cancelled; ended, when it is over or was cancelled before;
-- unknown. What was held under the raise stays held.
create or replace function sark.cancel_raise_v1(
  p_org text, p_account text, p_raise_id text, p_cancelled_by text, p_event jsonb, p_now timestamptz default null
) returns json language plpgsql as $$
declare
  v_raise sark.limit_raises;
  v_at timestamptz;
begin
  perform from sark.counters where org = p_org and account = p_account for no key update;
  v_at := coalesce(p_now, clock_timestamp());
  select * into v_raise from sark.limit_raises r
  where r.org = p_org and r.account = p_account and r.raise_id = p_raise_id;
  if not found then
    return json_build_array('unknown', null);
  elsif v_raise.cancelled_at is not null or v_raise.expires_at <= v_at then
    return json_build_array('ended', sark.raise_json_v1(v_raise));
  end if;
  update sark.limit_raises r set cancelled_at = v_at, cancelled_by = p_cancelled_by
  where r.org = p_org and r.account = p_account and r.raise_id = p_raise_id
  returning * into v_raise;
  perform sark.refresh_limits_v1(array[p_org], array[p_account], array[v_at]);
  perform sark.audit_v1(p_event);
  return json_build_array('cancelled', sark.raise_json_v1(v_raise));
end $$;
