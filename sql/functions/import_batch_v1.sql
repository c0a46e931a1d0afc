-- Book rows p_from to p_to of pg_temp.sark_import, which `sark-opa cost import` has filled in order of time: charges of the
-- past, each a hold of nothing that was settled at once, at the time it was made. A request_id that is known already is
-- left as it is, so the same rows again change nothing. Answers [booked, sum in nanousd, known, [row in conflict, …]]; a
-- row is in conflict when its request_id was charged, or is held, by another request, or its account is gone. p_import goes
-- into the metadata of each charge.
--
-- What is booked counts as spent in the window its time lies in, at every level, also in the running one; no limit
-- refuses, since the money is spent, and nothing was admitted. Counters, which everybody wants, are locked last.
create or replace function sark.import_batch_v1(p_from bigint, p_to bigint, p_import text) returns json
language plpgsql
set plan_cache_mode = force_custom_plan set jit = off set work_mem = '64MB' as $$
declare
  v_moving text;
  v_total bigint;
  v_booked bigint;
  v_rows bigint[];            -- the rows that are booked now; null: all of them
  v_sum bigint;
begin
  -- Old charges are not dropped while some are booked, nor is an account moved while a path through it is written down.
  perform from sark.storage for share;
  perform from sark.accounts a
  where (a.org, a.account) in (
    select s.org, s.org from pg_temp.sark_import r join pg_temp.sark_import_subject s on s.subject = r.subject
    where r.row_number between p_from and p_to
  )
  order by a.org for share;

  select m.org into v_moving from sark.org_moves m
  where m.state <> 'active' and m.org in (
    select s.org from pg_temp.sark_import r join pg_temp.sark_import_subject s on s.subject = r.subject
    where r.row_number between p_from and p_to
  );
  if found then
    raise exception 'the org % is being moved, or was', v_moving using errcode = 'SKM01', detail = v_moving;
  end if;

  insert into sark.holds (
    org, request_id, path, amounts, expected, fingerprint, attribution, state, charged_at, expires_at, ended_at,
    direct, booked, settlement_fingerprint, price_revision, estimated
  )
  select
    s.org, r.request_id, s.path, s.nothing, r.estimated_nanousd, r.digest, s.attribution, 'settled', r.charged_at,
    r.charged_at, clock_timestamp(), true, r.actual_nanousd, r.digest, r.price_revision, r.estimated
  from pg_temp.sark_import r
  join (
    select i.*, a.path, array_fill(0::bigint, array[cardinality(a.path)]) as nothing
    from pg_temp.sark_import_subject i join sark.accounts a on a.org = i.org and a.account = i.account
    offset 0  -- or the arrays would be made for every charge
  ) s on s.subject = r.subject
  where r.row_number between p_from and p_to
    and r.charged_at >= (select charges_kept_from from sark.storage)
  order by s.org, r.request_id
  on conflict (org, request_id) do nothing;
  get diagnostics v_booked = row_count;

  select count(*), sum(r.actual_nanousd) into v_total, v_sum
  from pg_temp.sark_import r where r.row_number between p_from and p_to;
  if v_booked < v_total then
    -- Those this transaction has written just now.
    select array_agg(r.row_number), coalesce(sum(r.actual_nanousd), 0) into v_rows, v_sum
    from pg_temp.sark_import r
    join pg_temp.sark_import_subject s on s.subject = r.subject
    join sark.holds h on h.org = s.org and h.request_id = r.request_id
    where r.row_number between p_from and p_to and h.xmin::text = (pg_current_xact_id()::text::bigint % 4294967296)::text;
    if coalesce(cardinality(v_rows), 0) <> v_booked then  -- in a subtransaction they would have another id
      raise exception 'sark.import_batch_v1 is to be called outside of subtransactions';
    end if;
  end if;

  if v_booked > 0 then
    insert into sark.cost_tracking (
      time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, provider, model,
      tokens, usage, estimated_nanousd, held_nanousd, actual_nanousd, price_revision, late, hold_exceeded, estimated,
      tags, metadata, budget_day
    )
    select
      r.charged_at, s.org, r.request_id, 1, 'charge', s.account, s.path, s.principal_id, s.resource_id, s.capability_id,
      s.provider, s.model, r.tokens, r.usage, r.estimated_nanousd, 0, r.actual_nanousd, r.price_revision, false, false,
      r.estimated, r.tags, s.metadata, (r.charged_at at time zone s.timezone)::date
    from pg_temp.sark_import r
    join (
      select i.*, a.path, c.timezone, jsonb_build_object('import', p_import) as metadata
      from pg_temp.sark_import_subject i
      join sark.accounts a on a.org = i.org and a.account = i.account
      join sark.counters c on c.org = i.org and c.account = i.org
      offset 0
    ) s on s.subject = r.subject
    where r.row_number between p_from and p_to and (v_rows is null or r.row_number = any (v_rows));
    perform sark.import_spent_v1(p_from, p_to, v_rows);
  end if;

  if v_booked = v_total then
    return json_build_array(v_booked, coalesce(v_sum, 0), 0, '[]'::json);
  end if;
  return (
    select json_build_array(v_booked, v_sum,
      count(*) filter (where h.settlement_fingerprint = r.digest),
      coalesce(json_agg(r.row_number order by r.row_number) filter (
        where h.settlement_fingerprint is distinct from r.digest), '[]'))
    from pg_temp.sark_import r
    join pg_temp.sark_import_subject s on s.subject = r.subject
    left join sark.holds h on h.org = s.org and h.request_id = r.request_id
    where r.row_number between p_from and p_to and (v_rows is null or r.row_number <> all (v_rows))
  );
end $$;
