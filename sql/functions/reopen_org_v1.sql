-- Give up a move at its source, unless it is done: open holds expire again when they would have, and the move is
-- forgotten. The guards have to be made anew then. Answers whether there was one to give up.
create or replace function sark.reopen_org_v1(p_org text) returns boolean language plpgsql as $$
begin
  perform set_config('sark.moving_org', p_org, true);
  delete from sark.org_moves where org = p_org and direction = 'out' and state in ('copying', 'closing', 'closed');
  if not found then
    return false;
  end if;
  update sark.holds h set expires_at = p.expires_at
  from sark.parked_holds p
  where p.org = p_org and h.org = p.org and h.request_id = p.request_id;
  delete from sark.parked_holds where org = p_org;
  return true;
end $$;
