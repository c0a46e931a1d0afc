-- Who may call the service. A token is random, so its SHA-256 is enough to know it by; the text is never stored.

create table sark.access_tokens (
  name text collate "C" not null,
  role text not null,
  sha256 bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint access_tokens_pkey primary key (name),
  constraint access_tokens_sha256_key unique (sha256),
  constraint access_tokens_role_known check (role in ('facts', 'settle', 'report', 'admin')),
  constraint access_tokens_sha256_length check (octet_length(sha256) = 32)
);
