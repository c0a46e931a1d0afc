-- Whether edits below p_within are its holder's to make: null, or [why not, {account, …}]. Called after the edits, under
-- the lock of the org's row; p_before is what sark.split_v1 said before them, p_edits as in sark.edit_accounts_v1.
--
-- limit_missing: below a limit, an account that is edited has one of its own. split_exceeded: the limits directly below
-- sum up to more than p_within's own, day and month each by itself. Where they do so already, since p_within's own was
-- lowered or accounts came up by themselves, an edit passes that makes the sum smaller. weaker_enforcement and
-- weaker_on_expiry: an account is not treated more mildly than its parent.
create or replace function sark.check_split_v1(p_within text, p_before jsonb, p_edits jsonb) returns json
language plpgsql as $$
declare
  v_org text := split_part(p_within, '/', 1);
  v_after jsonb := sark.split_v1(p_within);
  v record;
  w record;
begin
  for w in
    select x.name, x.own,
      (select sum((k.value ->> x.name)::numeric) from jsonb_each(v_after) k) as after,
      (select sum((k.value ->> x.name)::numeric) from jsonb_each(p_before) k) as before
    from sark.counters c cross join lateral (values ('day', c.day_limit), ('month', c.month_limit)) x(name, own)
    where c.org = v_org and c.account = p_within and x.own is not null
    order by x.name
  loop
    for v in
      select k.key as account, (k.value ->> w.name)::bigint as child
      from jsonb_each(v_after) k
      where k.value -> w.name is distinct from p_before -> k.key -> w.name
      order by k.key
    loop
      if v.child is null then
        return json_build_array('limit_missing', json_build_object('account', v.account, 'window', w.name));
      elsif w.after > w.own and w.after >= coalesce(w.before, 0) then
        return json_build_array('split_exceeded', json_build_object(
          'account', v.account, 'window', w.name, 'limit_nanousd', w.own, 'sum_nanousd', w.after));
      end if;
    end loop;
  end loop;

  for v in
    select a.account, a.path, c.enforcement, p.enforcement as parent_enforcement,
      sark.on_expiry_v1(a.org, a.path) as on_expiry, sark.on_expiry_v1(a.org, a.path[2:]) as parent_on_expiry
    from jsonb_to_recordset(p_edits) r(org text, account text, settings jsonb)
    join sark.accounts a on a.org = r.org and a.account = r.account
    join sark.counters c on c.org = a.org and c.account = a.account
    join sark.counters p on p.org = a.org and p.account = a.parent
    where nullif(r.settings, 'null') is not null
    order by a.account
  loop
    if array_position(array['hard', 'soft', 'warn', 'shadow'], v.enforcement::text)
      > array_position(array['hard', 'soft', 'warn', 'shadow'], v.parent_enforcement::text) then
      return json_build_array('weaker_enforcement', json_build_object(
        'account', v.account, 'enforcement', v.enforcement, 'parent', v.path[2], 'parents', v.parent_enforcement));
    elsif v.on_expiry = 'release' and v.parent_on_expiry = 'charge' then
      return json_build_array('weaker_on_expiry', json_build_object('account', v.account, 'parent', v.path[2]));
    end if;
  end loop;
  return null;
end $$;
