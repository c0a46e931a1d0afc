-- A text as it is, or with an apostrophe before it where a spreadsheet would take it for a formula.
create or replace function sark.spreadsheet_text_v1(p_text text, p_guarded boolean) returns text
language sql immutable as $$
  select case when p_guarded and p_text ~ '^[=+@\t\r-]' then '''' || p_text else p_text end
$$;
