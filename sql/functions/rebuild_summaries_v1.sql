-- Work the daily summaries out anew from the charges: needed once after a database was restored on another server,
-- whose transaction ids begin anew. Charges cannot be booked meanwhile. Answers how many rows were brought in.
--
-- Days whose charges were dropped, and the one at the edge, keep the summaries they have.
create or replace function sark.rebuild_summaries_v1() returns bigint language plpgsql set jit = off as $$
declare
  v_kept_from constant timestamptz := (select charges_kept_from from sark.storage);
  v_after constant date := case when v_kept_from > '-infinity' then (v_kept_from at time zone 'UTC')::date + 1 end;
  v_last timestamptz;
  v_start timestamptz;
  v_end timestamptz;
  v_rows bigint := 0;
begin
  perform from sark.fold_mark for update;
  lock table sark.cost_tracking in share mode;
  select min(time), max(time), max(recorded_at) into v_start, v_end, v_last from sark.cost_tracking;
  if v_last >= clock_timestamp() then
    raise exception 'charges were recorded at %, which this server''s clock has not reached', v_last
      using errcode = 'object_not_in_prerequisite_state';
  end if;

  delete from sark.daily_costs where v_after is null or day > v_after;
  delete from sark.daily_estimate_errors where v_after is null or day > v_after;
  delete from sark.daily_groups where v_after is null or day > v_after;
  while v_start <= v_end loop  -- in parts, so that each fits into memory
    v_rows := v_rows + sark.fold_rows_v1(-1, 9223372036854775807, '-infinity', v_start, v_start + interval '1 day', v_after);
    v_start := v_start + interval '1 day';
  end loop;
  delete from sark.daily_groups_from where v_after is null;
  update sark.daily_groups_from set day = v_after + 1 where day > v_after;
  update sark.fold_mark set
    xid = pg_snapshot_xmin(pg_current_snapshot())::text::bigint, recorded_from = clock_timestamp(),
    server = (select system_identifier::text from pg_control_system()), folded_at = clock_timestamp();
  return v_rows;
end $$;
