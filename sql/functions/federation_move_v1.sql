-- Move a transfer on, if it is in one of the states p_from; what p_change does not name stays as it is.
-- Answers [moved, transfer] with the transfer as it stands then; transfer is null when there is none.
create or replace function sark.federation_move_v1(
  p_org text, p_direction text, p_transfer text, p_from text[], p_change jsonb
) returns json language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  v_row sark.federation_transfers;
begin
  update sark.federation_transfers t set
    state = coalesce(p_change ->> 'state', t.state),
    code = coalesce(p_change ->> 'code', t.code),
    period = coalesce((p_change ->> 'period')::date, t.period),
    booked_request_id = coalesce(p_change ->> 'booked_request_id', t.booked_request_id),
    charged_at = coalesce((p_change ->> 'charged_at')::timestamptz, t.charged_at),
    actual_nanousd = coalesce((p_change ->> 'actual_nanousd')::bigint, t.actual_nanousd),
    word = coalesce(decode(p_change ->> 'word', 'base64'), t.word),
    disputed = coalesce((p_change ->> 'disputed')::boolean, t.disputed),
    expires_at = coalesce((p_change ->> 'expires_at')::timestamptz, t.expires_at),
    due_at = case when p_change ? 'due_at' then (p_change ->> 'due_at')::timestamptz else t.due_at end,
    attempts = case when p_change ? 'due_at' then 0 else t.attempts end,
    xid = pg_current_xact_id()::text::bigint
  where t.org = p_org and t.direction = p_direction and t.transfer_id = p_transfer and t.state = any (p_from)
  returning * into v_row;
  if found then
    return json_build_array(true, sark.federation_transfer_json_v1(v_row));
  end if;
  select * into v_row from sark.federation_transfers t
  where t.org = p_org and t.direction = p_direction and t.transfer_id = p_transfer;
  return json_build_array(false, case when found then sark.federation_transfer_json_v1(v_row) end);
end $$;
