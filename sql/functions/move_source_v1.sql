-- The rows of an org that a move copies from a table, as the text of a query. p_part says which; instants and ids in it
-- are those of the source:
--
--   {}                                            whole tables
--   {part: bulk, from, to, kept_from, mark_xid, mark_from}   charges of a span of time that were in the summaries at the mark
--   {part: folded|unfolded, kept_from, mark_xid, mark_from}  charges since the mark that are in the summaries now, or not
--   {part: bulk, after, last, kept_from}          ended holds, by request_id
--   {part: changed, kept_from, since_xid}         open holds, and those that were changed by since_xid or later
--   {part: all, kept_from}                        charges, or holds, all of them
--
-- Ended holds and charges from before kept_from are left behind: they are about to be dropped. Charges of the parts bulk
-- and folded get the transaction id -1, which every mark of summaries is beyond: they are in the summaries that are copied,
-- and are not to be counted again.
create or replace function sark.move_source_v1(p_table text, p_org text, p_part jsonb default '{}') returns text
language plpgsql stable as $$
declare
  v_part constant text := coalesce(p_part ->> 'part', 'all');
  v_columns text := (select string_agg(c.expression, ', ') from sark.move_columns_v1(p_table) c);
  v_since constant text := format('(t.xid >= %L and t.recorded_at >= %L)', p_part ->> 'mark_xid', p_part ->> 'mark_from');
  v_unfolded constant text := '(t.xid >= (select m.xid from sark.fold_mark m) and t.recorded_at >= '
    '(select m.recorded_from from sark.fold_mark m))';
  v_where text := format('t.org = %L', p_org);
begin
  if p_table = 'cost_tracking' then
    v_where := v_where || format(' and t.time >= %L', p_part ->> 'kept_from') || case v_part
      when 'bulk' then format(' and t.time >= %L and t.time < %L and not %s', p_part ->> 'from', p_part ->> 'to', v_since)
      when 'folded' then format(' and %s and not %s', v_since, v_unfolded)
      when 'unfolded' then format(' and %s and %s', v_since, v_unfolded)
      else '' end;
    v_columns := v_columns || case when v_part in ('bulk', 'folded') then ', -1' else '' end;
  elsif p_table = 'holds' then
    v_where := v_where || format(' and (t.state = ''held'' or t.charged_at >= %L)', p_part ->> 'kept_from') || case v_part
      when 'bulk' then format(' and t.state <> ''held'' and t.request_id > %L collate "C" and t.request_id <= %L collate "C"',
        p_part ->> 'after', p_part ->> 'last')
      -- Ids of rows are 32 bits; one that seems recent and is ages old is copied once more, which does no harm.
      when 'changed' then format(' and (t.state = ''held'' or age(t.xmin) <= age(%L::xid))',
        ((p_part ->> 'since_xid')::bigint % 4294967296)::text)
      else '' end;
  end if;
  return format('select %s from sark.%I t where %s', v_columns, p_table, v_where);
end $$;
