-- `put_account_v1`, and the event that tells of it when it was done; the caller tells of refusals.
create or replace function sark.put_account_audited_v1(
  p_org text, p_settings jsonb, p_event jsonb, p_now timestamptz default null
) returns json language plpgsql as $$
declare
  v_answer json := sark.put_account_v1(p_org, p_settings, p_now);  -- [status, account]
begin
  if v_answer ->> 0 in ('created', 'replaced') then
    perform sark.audit_v1(p_event);
  end if;
  return v_answer;
end $$;
