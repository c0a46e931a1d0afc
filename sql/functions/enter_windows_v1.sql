-- Roll the counters whose window or raise is over, and move a batch's new holds into the windows they are counted in.
--
-- The caller holds the locks of the counters. Time never runs backwards for an org: should the clock have been set
-- back, its holds count as taken when its latest window began.
create or replace function sark.enter_windows_v1(
  p_requests jsonb, p_orgs text[], p_accounts text[], p_at timestamptz
) returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_orgs text[];
  v_ats timestamptz[];
begin
  select array_agg(org), array_agg(at) into v_orgs, v_ats from (
    select k.org, greatest(p_at, max(c.day_starts_at), max(c.month_starts_at)) as at
    from unnest(p_orgs, p_accounts) k(org, account)
    join sark.counters c on c.org = k.org and c.account = k.account
    group by k.org
  ) o;

  perform sark.roll_v1(array_agg(k.org), array_agg(k.account), array_agg(o.at))
  from unnest(p_orgs, p_accounts) k(org, account) join unnest(v_orgs, v_ats) o(org, at) on o.org = k.org;

  update sark.holds h set charged_at = o.at, expires_at = o.at + (h.expires_at - h.charged_at)
  from jsonb_to_recordset(p_requests) r(org text, request_id text)
  join unnest(v_orgs, v_ats) o(org, at) on o.org = r.org
  where h.org = r.org and h.request_id = r.request_id and h.asked = 1;
end $$;
