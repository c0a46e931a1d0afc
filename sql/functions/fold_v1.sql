-- Bring charges that were committed since the last time into the daily summaries, about p_rows_max of them at most.
-- Answers how many rows were brought in; null when somebody else is at it; -1 when the mark's xids are another
-- server's, as after a restore, and sark.rebuild_summaries_v1 has to come first.
--
-- Rows of a transaction that is still open are not skipped: the mark stays in front of it, so a transaction that is
-- left open for hours holds the summaries back for as long (reports add what is behind the mark, and stay right).
create or replace function sark.fold_v1(p_rows_max integer default 20000) returns bigint language plpgsql as $$
declare
  v_mark sark.fold_mark;
  v_top bigint;
  v_to bigint;
  v_rows bigint;
begin
  select * into v_mark from sark.fold_mark for update skip locked;
  if not found then
    return null;
  end if;
  v_top := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;  -- after the lock, or the mark may be further already
  if v_mark.xid > v_top or v_mark.server <> (select system_identifier::text from pg_control_system()) then
    return -1;
  end if;

  loop
    v_to := v_top;
    loop
      select count(*) into v_rows from (
        select from sark.cost_tracking t
        where t.xid >= v_mark.xid and t.xid < v_to and t.recorded_at >= v_mark.recorded_from
        limit p_rows_max + 1
      ) r;
      exit when v_rows <= p_rows_max or v_to - v_mark.xid <= 1;
      v_to := v_mark.xid + (v_to - v_mark.xid) / 2;
    end loop;
    exit when v_rows > 0 or v_to = v_top;
    v_mark.xid := v_to;  -- nothing was charged by these
  end loop;

  if v_rows > 0 then
    v_rows := sark.fold_rows_v1(v_mark.xid, v_to, v_mark.recorded_from);
  end if;
  update sark.fold_mark set xid = v_to, folded_at = clock_timestamp();
  return v_rows;
end $$;
