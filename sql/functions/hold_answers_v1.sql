-- The answers of hold_batch_v2, read after its work is done; see there for their shape.
create or replace function sark.hold_answers_v1(
  p_requests jsonb, p_blocked_keys text[], p_blocked_accounts text[], p_blocked_windows text[], p_at timestamptz
) returns json language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_answers json;
  v_orgs text[];
  v_accounts text[];
begin
  with asked as materialized (
    select
      r.*, r.org || '/principal/' || r.principal_id as leaf,
      array_position(p_blocked_keys, r.org || E'\n' || r.request_id) as blocked
    from jsonb_to_recordset(p_requests) r(org text, principal_id text, request_id text, fingerprint text)
  ), answered as materialized (
    select
      r.org, r.request_id, r.blocked, coalesce(h.path, a.path) as path, coalesce(h.meters, a.meters) as meters,
      case
        -- First: where the account was missing, asked = 1 may be a hold that another has taken only just now.
        when h.fingerprint <> decode(r.fingerprint, 'base64') then 'conflict'
        when h.asked = 1 then 'held'
        when r.blocked is not null then 'blocked'
        when h.asked is null then 'unknown_account'
        when h.state = 'held' then 'duplicate'
        else 'ended'
      end as status,
      case when h.asked is null and r.blocked is null then
        case when exists (select from sark.accounts o where o.org = r.org and o.account = r.org)
          then r.leaf else r.org end
      end as unknown,
      case when h.asked is not null then json_build_array(
        h.path, h.state, h.amounts, h.booked, h.charged_at, h.expires_at,
        case when h.asked > 1 then h.attribution end
      ) end as hold
    from asked r
    left join sark.holds h on h.org = r.org and h.request_id = r.request_id
    left join sark.accounts a on h.asked is null and a.org = r.org and a.account = r.leaf
  ), touched as (
    select distinct w.org, p.account from answered w cross join lateral unnest(w.path || w.meters) p(account)
  )
  select
    (
      select json_agg(json_build_array(
        w.org, w.request_id, w.status, w.path, p_blocked_accounts[w.blocked], p_blocked_windows[w.blocked], w.unknown,
        w.hold, w.meters
      )) from answered w
    ),
    (select array_agg(t.org) from touched t), (select array_agg(t.account) from touched t)
  into v_answers, v_orgs, v_accounts;

  return json_build_object('answers', v_answers, 'windows', (
    select coalesce(json_agg(json_build_array(
      w.account, w.enforcement, w.day_limit, w.day_spent, w.day_held, w.day_starts_at, w.day_ends_at,
      w.month_limit, w.month_spent, w.month_held, w.month_starts_at, w.month_ends_at
    )), '[]') from sark.windows_v1(v_orgs, v_accounts, p_at) w
  ));
end $$;
