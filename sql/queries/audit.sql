-- name: write
-- Write an audit event.
select sark.audit_v1(%(event)s::jsonb);

-- name: read
-- The latest events, or those before one of them.
select id, at, actor, role, action, subject, outcome, code, details from sark.audit_events
where (%(before)s::bigint is null or id < %(before)s)
  and (%(action)s::text is null or action = %(action)s)
  and (%(subject)s::text is null or subject = %(subject)s)
order by id desc limit %(limit)s;
