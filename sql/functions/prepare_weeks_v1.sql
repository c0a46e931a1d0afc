-- On plain PostgreSQL: have a partition for each week between two instants, before charges of that time are copied in.
-- A week whose charges lie in the default partition is left to sark.keep_partitions_v1. Answers how many were made.
create or replace function sark.prepare_weeks_v1(p_from timestamptz, p_to timestamptz) returns integer
language plpgsql set lock_timeout = '2s' as $$
declare
  v_week timestamptz := date_trunc('week', p_from, 'UTC');
  v_name text;
  v_made integer := 0;
begin
  perform from sark.storage for no key update;
  while (select tier from sark.storage) = 'plain' and v_week <= p_to loop
    v_name := sark.partition_name_v1(v_week);
    if to_regclass(v_name) is null and not exists (
      select from sark.cost_tracking_default t where t.time >= v_week and t.time < v_week + interval '7 days'
    ) then
      execute format('create table %s (like sark.cost_tracking including defaults including constraints)', v_name);
      execute format('alter table sark.cost_tracking attach partition %s for values from (%L) to (%L)',
        v_name, v_week, v_week + interval '7 days');
      execute format('create trigger cost_tracking_no_truncate before truncate on %s for each statement '
        'execute function sark.refuse_edit()', v_name);
      v_made := v_made + 1;
    end if;
    v_week := v_week + interval '7 days';
  end loop;
  return v_made;
end $$;
