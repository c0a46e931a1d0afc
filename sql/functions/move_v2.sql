-- `move_v1` for holds that quotas count, too: p_tokens and p_calls are added to what is used of them, p_spent to what
-- is spent. All counters are locked in one go, meters right after their accounts.
create or replace function sark.move_v2(
  p_org text[], p_request text[], p_spent bigint[], p_held boolean[], p_tokens bigint[], p_calls bigint[]
) returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
begin
  perform from (
    select distinct h.org, l.account collate "C" as account
    from unnest(p_org, p_request) e(org, request_id)
    join sark.holds h on h.org = e.org and h.request_id = e.request_id
    cross join lateral unnest(h.path || h.meters) l(account)
    order by 1, 2
  ) k
  cross join lateral (
    select from sark.counters s where s.org = k.org and s.account = k.account for no key update
  ) c;
  perform sark.move_past_v2(p_org, p_request, p_spent, p_held, p_tokens, p_calls);
end $$;
