-- Delete up to p_rows_max ended holds whose charges were dropped; how many were deleted. Their request_ids are then
-- forgotten: a settlement that comes later than that is of an unknown hold.
create or replace function sark.drop_holds_v1(p_rows_max integer default 5000) returns integer language plpgsql as $$
declare
  v_rows integer;
begin
  delete from sark.holds h
  where h.ctid = any (array(
    select d.ctid from sark.holds d
    where d.charged_at < (select charges_kept_from from sark.storage) and d.state <> 'held'
    limit p_rows_max for update skip locked
  ));
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;
