-- Write an audit event: {actor, role, action, subject, outcome, code, details}. Answers its id.
create or replace function sark.audit_v1(p_event jsonb) returns bigint language sql as $$
  insert into sark.audit_events (actor, role, action, subject, outcome, code, details)
  values (
    p_event ->> 'actor', p_event ->> 'role', p_event ->> 'action', p_event ->> 'subject', p_event ->> 'outcome',
    p_event ->> 'code', coalesce(p_event -> 'details', '{}')
  )
  returning id
$$;
