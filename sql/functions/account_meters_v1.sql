-- The meters on an account's path that have a quota now, leaf to org; null for none: a look.
create or replace function sark.account_meters_v1(p_org text, p_path text[]) returns text[] language sql stable as $$
  select array_agg(c.account order by p.level, c.account)
  from unnest(p_path) with ordinality p(account, level)
  cross join lateral unnest(array['calls', 'tokens']) u(unit)
  join sark.counters c on c.org = p_org and c.account = p.account || E'\x1f' || u.unit
  where c.day_limit is not null or c.month_limit is not null
$$;
