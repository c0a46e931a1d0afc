-- Who changed what, and what was refused. Append-only, as charges are. An event's id is also the revision of the
-- plugin it changed, so every state of a plugin has the event that made it.
create table sark.audit_events (
  id bigint generated always as identity,
  at timestamptz not null default clock_timestamp(),
  actor text not null,                           -- a token's name; socket, cli or service
  role text not null,
  action text not null,                          -- such as plugin.upload
  subject text not null,                         -- the plugin's name, the account's …
  outcome text not null,
  code text,                                     -- why it was refused
  details jsonb not null default '{}',
  constraint audit_events_pkey primary key (id),
  constraint audit_events_outcome_known check (outcome in ('ok', 'refused')),
  constraint audit_events_code_iff_refused check ((outcome = 'refused') = (code is not null))
);

create index audit_events_subject on sark.audit_events (subject, id);
create index audit_events_action on sark.audit_events (action, id);

create trigger audit_events_append_only before update or delete on sark.audit_events
  for each row execute function sark.refuse_edit();
create trigger audit_events_no_truncate before truncate on sark.audit_events
  for each statement execute function sark.refuse_edit();

-- Plugins that were uploaded, and switches of those that the settings name, which have no content here. Each service
-- process looks for revisions it does not run yet.
create table sark.plugins (
  name text collate "C" not null,
  version text,
  media_type text,
  content bytea,
  digest text,                                   -- sha256: and hex, of the content
  enabled boolean not null default true,
  config jsonb not null default '{}',            -- the operator's, over the manifest's
  revision bigint not null default 0,            -- of the last change
  load_revision bigint not null default 0,       -- of the last change after which it is loaded anew
  release_revision bigint not null default 0,    -- of the last time its quarantine was lifted
  updated_at timestamptz not null default clock_timestamp(),
  updated_by text not null,
  constraint plugins_pkey primary key (name),
  constraint plugins_content_whole check (num_nulls(version, media_type, content, digest) in (0, 4)),
  constraint plugins_config_is_object check (jsonb_typeof(config) = 'object')
);
