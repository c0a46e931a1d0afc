-- The last step of closing an org whose tables are guarded by now: its open holds are parked, so that none expires while
-- it is closed. Answers when it was closed; null when it is not closing.
create or replace function sark.close_org_v1(p_org text) returns timestamptz language plpgsql as $$
declare
  v_at timestamptz;
begin
  perform set_config('sark.moving_org', p_org, true);
  with open_holds as materialized (
    select h.org, h.request_id, h.expires_at from sark.holds h
    where h.org = p_org and h.state = 'held' and h.expires_at < 'infinity'
    order by h.request_id collate "C" for no key update
  ), parked as (
    insert into sark.parked_holds (org, request_id, expires_at)
    select o.org, o.request_id, o.expires_at from open_holds o
  )
  update sark.holds h set expires_at = 'infinity'
  from open_holds o
  where h.org = o.org and h.request_id = o.request_id;
  update sark.org_moves set state = 'closed', closed_at = clock_timestamp()
  where org = p_org and state = 'closing'
  returning closed_at into v_at;
  return v_at;
end $$;
