-- Let go of what these counters have set aside and book what was spent, where all of it was held in the windows they
-- are in now: p_earliest says when the first was. Answers false, with nothing done, where one is past.
--
-- p_orgs and p_accounts: each counter once, by (org, account), the order in which they are locked. All stay locked. The
-- callers tell the planner how to find rows.
create or replace function sark.move_sums_v1(
  p_orgs text[], p_accounts text[], p_freed bigint[], p_spent bigint[], p_earliest timestamptz[]
) returns boolean language plpgsql as $$
declare
  v_moved bigint;
  v_past boolean;
begin
  with moved as (  -- every row is updated, so that it is locked in its turn
    update sark.counters c set
      day_held = c.day_held - case when k.earliest < greatest(c.day_starts_at, c.month_starts_at) then 0 else k.freed end,
      day_spent = c.day_spent + case when k.earliest < greatest(c.day_starts_at, c.month_starts_at) then 0 else k.spent end,
      month_held = c.month_held - case when k.earliest < greatest(c.day_starts_at, c.month_starts_at) then 0 else k.freed end,
      month_spent = c.month_spent + case when k.earliest < greatest(c.day_starts_at, c.month_starts_at) then 0 else k.spent end
    from unnest(p_orgs, p_accounts, p_freed, p_spent, p_earliest) k(org, account, freed, spent, earliest)
    where c.org = k.org and c.account = k.account
    returning k.earliest < greatest(c.day_starts_at, c.month_starts_at) as past
  )
  select count(*), bool_or(m.past) into v_moved, v_past from moved m;
  if v_moved <> cardinality(p_accounts) then  -- never, since none is deleted; but no charge may be one that counts nowhere
    raise exception 'a counter is missing' using errcode = 'serialization_failure';
  end if;
  if v_past then
    update sark.counters c set
      day_held = c.day_held + k.freed, day_spent = c.day_spent - k.spent,
      month_held = c.month_held + k.freed, month_spent = c.month_spent - k.spent
    from unnest(p_orgs, p_accounts, p_freed, p_spent, p_earliest) k(org, account, freed, spent, earliest)
    where c.org = k.org and c.account = k.account and k.earliest >= greatest(c.day_starts_at, c.month_starts_at);
  end if;
  return not v_past;
end $$;
