-- What sark.settle_batch_v2 moves where quotas count some of the holds; its arguments are the holds that end now.
-- Writes down how many tokens each has booked, for a charge that was taken back, and for sark-opa verify.
create or replace function sark.settle_meters_v1(
  p_settlements jsonb, p_org text[], p_request text[], p_spent bigint[], p_held boolean[]
) returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_tokens bigint[];          -- in the order of the holds: what each books in all; null where no quota counts it
  v_more bigint[];            -- and how much that is more than before
  v_calls bigint[];
begin
  select array_agg(b.tokens order by b.ordinal), array_agg(b.tokens - b.before order by b.ordinal),
    array_agg(b.calls order by b.ordinal)
  into v_tokens, v_more, v_calls
  from (
    select k.ordinal, coalesce(h.booked_tokens, 0) as before, 1 - h.expiry_booked::integer::bigint as calls,
      coalesce(sark.billed_tokens_v1(s.tokens), sark.held_tokens_v1(h.meters, h.meter_amounts)) as tokens
    from unnest(p_org, p_request) with ordinality k(org, request_id, ordinal)
    join sark.holds h on h.org = k.org and h.request_id = k.request_id
    join jsonb_to_recordset(p_settlements) s(org text, request_id text, tokens jsonb)
      on s.org = k.org and s.request_id = k.request_id
  ) b;
  perform sark.move_v2(p_org, p_request, p_spent, p_held, v_more, v_calls);

  update sark.holds h set booked_tokens = k.tokens
  from unnest(p_org, p_request, v_tokens) k(org, request_id, tokens)
  where h.org = k.org and h.request_id = k.request_id and h.meters is not null;
end $$;
