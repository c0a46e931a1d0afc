-- Qualified name of the partition of the week that begins at p_week: the Monday's date in it.
create or replace function sark.partition_name_v1(p_week timestamptz) returns text language sql immutable as $$
  select 'sark.cost_tracking_' || to_char(p_week at time zone 'UTC', 'YYYYMMDD')
$$;
