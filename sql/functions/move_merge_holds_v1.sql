-- Put the rows of the temporary table moved_holds into sark.holds, in place of those that were copied before.
create or replace function sark.move_merge_holds_v1() returns bigint language plpgsql as $$
declare
  v_rows bigint;
begin
  execute (
    select format('insert into sark.holds (%1$s) select %1$s from pg_temp.moved_holds '
        'on conflict (org, request_id) do update set %2$s',
      string_agg(quote_ident(c.name), ', '), string_agg(format('%1$I = excluded.%1$I', c.name), ', '))
    from sark.move_columns_v1('holds') c
  );
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;
