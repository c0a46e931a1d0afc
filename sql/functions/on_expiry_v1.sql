-- What becomes of a hold on this path that nobody ends: as the lowest account says that says anything; if none does,
-- charge when any of them is hard, else release.
create or replace function sark.on_expiry_v1(p_org text, p_path text[]) returns text language sql stable as $$
  select coalesce(
    (array_agg(a.on_expiry::text order by k.level) filter (where a.on_expiry is not null))[1],
    case when bool_or(c.enforcement = 'hard') then 'charge' else 'release' end
  )
  from unnest(p_path) with ordinality k(account, level)
  join sark.accounts a on a.org = p_org and a.account = k.account
  join sark.counters c on c.org = a.org and c.account = a.account
$$;
