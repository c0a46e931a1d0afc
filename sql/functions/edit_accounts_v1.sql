-- Edit several accounts in one step, all or none. p_edits, parents before what lies below them:
-- [{org, account, checked, before, settings, event}]. Where `checked`, the account must still be as `before` says, an
-- Account object, or null for one that is not there; `settings` is what it becomes (null: it was only to be checked),
-- and `event` what the audit record is told of it.
--
-- p_within: the account whose budget is being split, null for whoever may edit everything. Such an edit stays strictly
-- below it, and within what sark.check_split_v1 says.
--
-- Answers [status, details]: done and [[created|replaced, account] …]; outdated and the names of those that changed;
-- or, with {account, …}, why nothing was done: unknown_parent, cycle, too_deep, unknown_timezone, outside, or what
-- sark.check_split_v1 answers.
create or replace function sark.edit_accounts_v1(p_edits jsonb, p_within text default null, p_now timestamptz default null)
returns json language plpgsql as $$
declare
  e record;
  v_outdated text[];
  v_before jsonb;   -- limits below p_within, as they were
  v_done json[] := '{}';
  v_answer json;
  v_detail text;
begin
  -- All locks first, in the order everybody takes them: an edit of one tree waits for the other, whole.
  perform from sark.accounts a
  where a.account = a.org and a.org in (select r.org from jsonb_to_recordset(p_edits) r(org text))
  order by a.org for no key update;
  perform from sark.counters c
  where (c.org, c.account) in (
    select r.org, n.name from jsonb_to_recordset(p_edits) r(org text, account text)
    cross join lateral (values (r.account), (r.account || E'\x1ftokens'), (r.account || E'\x1fcalls')) n(name)
  )
  order by c.org, c.account for no key update;

  select array_agg(r.account order by r.account) into v_outdated
  from jsonb_to_recordset(p_edits) r(org text, account text, checked boolean, before jsonb)
  where r.checked
    -- A service that knows nothing of quotas states none, which is as good as null.
    and jsonb_strip_nulls(nullif(r.before, 'null'))
      is distinct from jsonb_strip_nulls(sark.account_json_v1(r.org, r.account)::jsonb);
  if v_outdated is not null then
    return json_build_array('outdated', v_outdated);
  end if;
  if p_within is not null then
    v_before := sark.split_v1(p_within);
  end if;

  begin
    for e in
      select r.* from rows from (
        jsonb_to_recordset(p_edits) as (org text, account text, settings jsonb, event jsonb)
      ) with ordinality r(org, account, settings, event, ordinal)
      where nullif(r.settings, 'null') is not null
      order by r.org, r.ordinal
    loop
      -- One that is there is strictly below; so is, once it is made, one that is not.
      if p_within is not null and exists (
        select from sark.accounts a
        where a.org = e.org and a.account = e.account and not p_within = any (a.path[2:])
      ) then
        raise sqlstate 'SK001' using detail = json_build_array('outside', json_build_object('account', e.account));
      end if;
      v_answer := sark.put_account_v1(e.org, e.settings, p_now);
      if v_answer ->> 0 not in ('created', 'replaced') then
        raise sqlstate 'SK001' using detail = json_build_array(v_answer -> 0, json_build_object('account', e.account));
      end if;
      if p_within is not null and not exists (
        select from sark.accounts a
        where a.org = e.org and a.account = e.account and p_within = any (a.path[2:])
      ) then
        raise sqlstate 'SK001' using detail = json_build_array('outside', json_build_object('account', e.account));
      end if;
      v_done := v_done || v_answer;
      if nullif(e.event, 'null') is not null then
        perform sark.audit_v1(e.event);
      end if;
    end loop;
    if p_within is not null then
      v_answer := sark.check_split_v1(p_within, v_before, p_edits);
      if v_answer is not null then
        raise sqlstate 'SK001' using detail = v_answer;
      end if;
    end if;
  exception when sqlstate 'SK001' then
    get stacked diagnostics v_detail = pg_exception_detail;
    return v_detail::json;
  end;
  return json_build_array('done', v_done);
end $$;
