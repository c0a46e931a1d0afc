-- Sums by several dimensions at once, beside those of one dimension in sark.daily_costs.

-- What was charged by day, in two grains: team_model tells resource, provider, model and all accounts above the
-- principal apart, team_principal principals and their whole paths. What a grain does not tell apart is ''. Reversals
-- count negative, in every column.
create table sark.daily_groups (
  org text collate "C" not null,
  grain text collate "C" not null,
  day date not null,                             -- in the org's time zone, as sark.daily_costs
  path text collate "C" not null,                -- accounts, leaf to org, line feeds between; in team_model the leaf is ''
  principal_id text collate "C" not null,
  resource_id text collate "C" not null,
  provider text collate "C" not null,            -- '' also where it is not known
  model text collate "C" not null,
  charges bigint not null,
  actual_nanousd bigint not null,
  estimated_nanousd bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  constraint daily_groups_pkey primary key (org, grain, day, path, principal_id, resource_id, provider, model),
  constraint daily_groups_grain_known check (grain in ('team_model', 'team_principal'))
) with (fillfactor = 70);

-- Orgs whose older charges are not in sark.daily_groups, or not all of them: those of before `day`. Of an org without a
-- row all are. The service groups them day by day, latest first (sark.group_day_v1); reports read charges until then.
create table sark.daily_groups_from (
  org text collate "C" not null,
  day date not null,
  constraint daily_groups_from_pkey primary key (org)
);
-- No fold may be under way that does not know them; from here on there is none before all this is committed.
select from sark.fold_mark for update;
insert into sark.daily_groups_from (org, day)
select distinct org, date 'infinity' from sark.daily_costs where dimension = 'org';
