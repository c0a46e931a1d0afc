-- Every table that is kept by org, in the order in which a move writes them, and what a move does with it: `charges` and
-- `holds` are copied in parts while the org goes on, `whole` ones while it is closed, `local` ones stay where they are.
-- While an org is closed nothing of it may be written into a guarded one.
--
-- Charges are guarded by way of holds and counters, one of which every booking writes; summaries and tags are not, since
-- they follow from charges; nor are counts of calls without a price, which were refused.
create or replace function sark.org_tables_v1() returns table (name text, part text, guarded boolean)
language sql immutable as $$
  values
    ('cost_tracking', 'charges', false), ('holds', 'holds', true), ('nested_teams', 'whole', false),
    ('accounts', 'whole', true), ('counters', 'whole', true), ('period_history', 'whole', false),
    ('limit_raises', 'whole', true), ('reratings', 'whole', true), ('tags', 'whole', false),
    ('tag_values', 'whole', false), ('daily_costs', 'whole', false), ('daily_estimate_errors', 'whole', false),
    ('daily_groups', 'whole', false), ('daily_groups_from', 'whole', false),
    ('unpriced_calls', 'whole', false), ('federation_members', 'whole', true), ('federation_chains', 'whole', true),
    ('federation_statements', 'whole', true), ('federation_entries', 'whole', true),
    ('federation_periods', 'whole', true), ('federation_totals', 'whole', true),
    ('federation_transfers', 'whole', true), ('federation_waiting', 'whole', true),
    ('federation_evidence', 'whole', true), ('org_moves', 'local', false), ('parked_holds', 'local', false)
$$;
