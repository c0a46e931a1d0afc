-- What reports need beside the charges and their summaries.

-- Orgs that have, or once had, a team below another one: there the charges below a team are not those of its members.
create table sark.nested_teams (
  org text collate "C" not null,
  constraint nested_teams_pkey primary key (org)
);

-- A charge's path was its account's path once, so it is enough to look at teams' own.
create function sark.note_nested_team() returns trigger language plpgsql as $$
begin
  insert into sark.nested_teams (org)
  select new.org
  where exists (select from unnest(new.path[2:]) p where starts_with(p, new.org || '/team/'))
  on conflict do nothing;
  return null;
end $$;
create trigger accounts_nested_teams after insert or update on sark.accounts
  for each row when (split_part(new.account, '/', 2) = 'team') execute function sark.note_nested_team();

insert into sark.nested_teams (org)
select distinct org from (
  select a.org, a.path from sark.accounts a
  union all
  select h.org, h.path from sark.holds h
) p
where (select count(*) from unnest(p.path) a where starts_with(a, p.org || '/team/')) > 1;

-- Calls no price was known for, so that nothing, or a price that is only assumed, was held for them.
create table sark.unpriced_calls (
  org text collate "C" not null,
  provider text collate "C" not null,            -- '' where it is not known
  model text collate "C" not null,
  status text not null,
  day date not null,                             -- UTC
  calls bigint not null,
  last_at timestamptz not null,
  constraint unpriced_calls_pkey primary key (org, day, provider, model, status),
  constraint unpriced_calls_status_known check (status in ('unpriced', 'default'))
) with (fillfactor = 70);

-- Holds that ended by themselves: few, looked for by time.
create index holds_expired on sark.holds (org, charged_at) where state = 'expired';

-- Sums of every org over some days, without reading those of anything else.
create index daily_costs_org on sark.daily_costs (day, org) where dimension = 'org';
