-- End many holds unused. p_releases: an array of {org, request_id, only_if_asked_once}, each (org, request_id) at most
-- once. Answers [[status, hold], …] in the same order; status is released (now or before), ended (settled or expired)
-- or unknown: there is no such hold to release.
--
-- With only_if_asked_once the hold is one whose asker was told that nothing was granted. It is taken back without a
-- trace, so that the same request may be asked again; unless somebody has come back for it already, then it stays.
create or replace function sark.release_batch_v1(p_releases jsonb, p_now timestamptz default null) returns json
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_orgs text[];
  v_requests text[];
  v_taken_back boolean[];
  v_metered boolean;          -- a quota counts some of them
begin
  select array_agg(h.org), array_agg(h.request_id), array_agg(coalesce(r.only_if_asked_once, false)),
    bool_or(h.meters is not null)
  into v_orgs, v_requests, v_taken_back, v_metered
  from (
    select * from jsonb_to_recordset(p_releases) r(org text, request_id text, only_if_asked_once boolean)
    order by r.org collate "C", r.request_id collate "C"
  ) r
  cross join lateral (
    select * from sark.holds l where l.org = r.org and l.request_id = r.request_id for no key update
  ) h
  where h.state = 'held' and (h.asked = 1 or r.only_if_asked_once is not true);

  if v_orgs is not null then
    if v_metered then
      perform sark.move_v2(v_orgs, v_requests, array_fill(0::bigint, array[cardinality(v_orgs)]),
        array_fill(true, array[cardinality(v_orgs)]), array_fill(0::bigint, array[cardinality(v_orgs)]),
        array_fill(0::bigint, array[cardinality(v_orgs)]));
    else
      perform sark.move_v1(v_orgs, v_requests, array_fill(0::bigint, array[cardinality(v_orgs)]),
        array_fill(true, array[cardinality(v_orgs)]));
    end if;
    update sark.holds h set state = 'released', ended_at = coalesce(p_now, clock_timestamp())
    from unnest(v_orgs, v_requests, v_taken_back) k(org, request_id, taken_back)
    where h.org = k.org and h.request_id = k.request_id and not k.taken_back;
    delete from sark.holds h
    using unnest(v_orgs, v_requests, v_taken_back) k(org, request_id, taken_back)
    where h.org = k.org and h.request_id = k.request_id and k.taken_back;
  end if;

  return (
    select json_agg(json_build_array(
      case
        when h.state = 'released' then 'released'
        when h.state <> 'held' then 'ended'
        else 'unknown'
      end,
      case when h.state <> 'held' then sark.hold_json_v1(h) end
    ) order by r.ordinal)
    from rows from (jsonb_to_recordset(p_releases) as (org text, request_id text))
      with ordinality r(org, request_id, ordinal)
    left join sark.holds h on h.org = r.org and h.request_id = r.request_id
  );
end $$;
