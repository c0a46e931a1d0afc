-- Take up to p_rows_max transfers of an org about which something is to be done, and put each off by p_again_s
-- seconds, twice as long at each try, up to five minutes: whoever dies over one leaves it to the next.
-- Answers the transfers.
create or replace function sark.federation_claim_v1(
  p_org text, p_rows_max integer, p_again_s integer, p_now timestamptz
) returns json language sql
set enable_seqscan = off set jit = off as $$
  with due as (
    select t.org, t.direction, t.request_id from sark.federation_transfers t
    where t.org = p_org and t.due_at <= p_now
    order by t.due_at limit p_rows_max
    for no key update skip locked
  ), claimed as (
    update sark.federation_transfers t set
      due_at = p_now + make_interval(secs => least(p_again_s * 2 ^ least(t.attempts, 10), 300)),
      attempts = t.attempts + 1
    from due d
    where t.org = d.org and t.direction = d.direction and t.request_id = d.request_id
    returning t.*
  )
  select coalesce(json_agg(sark.federation_transfer_json_v1(c::sark.federation_transfers)), '[]') from claimed c
$$;
