-- name: register_token
-- Make a token known by its digest; the same name again replaces what it had. What changes nothing is no event.
with made as (
  insert into sark.access_tokens as t (name, role, sha256, expires_at, account)
  values (%(name)s, %(role)s, %(sha256)s, %(expires_at)s, %(account)s)
  on conflict (name) do update set
    role = excluded.role, sha256 = excluded.sha256, expires_at = excluded.expires_at,
    account = excluded.account, revoked_at = null
  where (t.role, t.sha256, t.expires_at, t.account)
      is distinct from (excluded.role, excluded.sha256, excluded.expires_at, excluded.account)
    or t.revoked_at is not null
  returning t.name
)
select sark.audit_v1(%(event)s::jsonb) from made;

-- name: revoke_token
-- Withdraw a token; tells whether there was an active one of that name.
with revoked as (
  update sark.access_tokens set revoked_at = clock_timestamp()
  where name = %(name)s and revoked_at is null
  returning name
)
select sark.audit_v1(%(event)s::jsonb) from revoked;

-- name: list_tokens
-- Every token there ever was, by name; never its digest.
select name, role, created_at, expires_at, revoked_at, account from sark.access_tokens order by name;

-- name: active_tokens
-- Digest, name, role and account of every token that may be used now.
select sha256, name, role, account from sark.access_tokens
where revoked_at is null and (expires_at is null or clock_timestamp() < expires_at);
