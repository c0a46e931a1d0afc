-- Begin a re-rating of an org's charges, or find the one of the same prices and the same selection that was begun and
-- not finished. p_rerating: an object {rerating_id, price_revision, selection, author, reason}; p_event: the audit
-- event of a new one. Answers [rerating_id, resumed, charges, difference_nanousd]; the last two are what it has booked.
create or replace function sark.rerate_begin_v1(p_org text, p_rerating jsonb, p_event jsonb) returns json
language plpgsql as $$
declare
  r sark.reratings;
begin
  insert into sark.reratings (org, rerating_id, price_revision, selection, author, reason)
  values (
    p_org, p_rerating ->> 'rerating_id', p_rerating ->> 'price_revision', p_rerating -> 'selection',
    p_rerating ->> 'author', p_rerating ->> 'reason'
  )
  on conflict (org, price_revision, selection) where finished_at is null do nothing
  returning * into r;
  if found then
    perform sark.audit_v1(p_event);
    return json_build_array(r.rerating_id, false, 0, 0);
  end if;
  select * into r from sark.reratings o
  where o.org = p_org and o.price_revision = p_rerating ->> 'price_revision'
    and o.selection = p_rerating -> 'selection' and o.finished_at is null;
  return json_build_array(r.rerating_id, true, r.charges, r.difference_nanousd);
end $$;
