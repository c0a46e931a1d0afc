-- Finish a re-rating: nothing is booked under it any more. Answers [charges, difference_nanousd], what it has booked in
-- all; null when it is unknown. Finishing twice is the same, and is audited once: p_event, with the two in its details.
create or replace function sark.rerate_finish_v1(p_org text, p_rerating text, p_event jsonb) returns json
language plpgsql as $$
declare
  r sark.reratings;
begin
  update sark.reratings set finished_at = clock_timestamp()
  where org = p_org and rerating_id = p_rerating and finished_at is null
  returning * into r;
  if found then
    perform sark.audit_v1(jsonb_set(p_event, '{details}', coalesce(p_event -> 'details', '{}')
      || jsonb_build_object('charges', r.charges, 'difference_nanousd', r.difference_nanousd)));
  else
    select * into r from sark.reratings where org = p_org and rerating_id = p_rerating;
  end if;
  return case when r.org is not null then json_build_array(r.charges, r.difference_nanousd) end;
end $$;
