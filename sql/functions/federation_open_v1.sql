-- Write down that a call across organisations is about to be made, before anything is held for it.
-- Answers [opened, transfer]: opened is false when there is a row for this request already, which is then answered.
--
-- A request that its home refused before its host heard of it holds nothing anywhere, so it may be made again. Its
-- transfer keeps its id.
create or replace function sark.federation_open_v1(p_transfer jsonb) returns json language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  v_given sark.federation_transfers := jsonb_populate_record(null::sark.federation_transfers, p_transfer
    || jsonb_build_object('fingerprint', null, 'disputed', false, 'attempts', 0,
      'xid', pg_current_xact_id()::text::bigint));
  v_row sark.federation_transfers;
begin
  v_given.fingerprint := decode(p_transfer ->> 'fingerprint', 'base64');
  insert into sark.federation_transfers values (v_given.*)
  on conflict (org, direction, request_id) do nothing
  returning * into v_row;
  if found then
    return json_build_array(true, sark.federation_transfer_json_v1(v_row));
  end if;
  update sark.federation_transfers t set
    peer = v_given.peer, principal_id = v_given.principal_id,
    alias = v_given.alias, resource_id = v_given.resource_id, capability_id = v_given.capability_id,
    amount_nanousd = v_given.amount_nanousd, fingerprint = v_given.fingerprint, state = v_given.state, code = null,
    created_at = v_given.created_at, expires_at = v_given.expires_at, due_at = v_given.due_at, attempts = 0,
    xid = v_given.xid
  where t.org = v_given.org and t.direction = v_given.direction and t.request_id = v_given.request_id
    and t.direction = 'consumed' and t.state = 'refused' and t.word is null
  returning * into v_row;
  if found then
    return json_build_array(true, sark.federation_transfer_json_v1(v_row));
  end if;
  select * into v_row from sark.federation_transfers t
  where t.org = v_given.org and t.direction = v_given.direction and t.request_id = v_given.request_id;
  return json_build_array(false, sark.federation_transfer_json_v1(v_row));
end $$;
