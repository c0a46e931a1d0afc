-- The schema `sark` as the migrations make it on plain PostgreSQL, without partitions and the bodies of functions. It
-- is there to be read, and to be compared by tests and `sark-opa migrate --verify`; the migrations make the schema.
-- Written by `python -m sark_opa.local.schema`: do not edit.

create domain sark.amount as bigint constraint amount_not_negative CHECK ((VALUE >= 0));

create domain sark.enforcement as text constraint enforcement_known CHECK ((VALUE = ANY (ARRAY['hard'::text,
  'soft'::text, 'warn'::text, 'shadow'::text])));

create domain sark.hold_state as text constraint hold_state_known CHECK ((VALUE = ANY (ARRAY['held'::text,
  'settled'::text, 'released'::text, 'expired'::text])));

create domain sark.on_expiry as text constraint on_expiry_known CHECK ((VALUE = ANY (ARRAY['charge'::text,
  'release'::text])));

create domain sark.on_unknown as text constraint on_unknown_known CHECK ((VALUE = ANY (ARRAY['create'::text,
  'deny'::text])));

create domain sark.period as text constraint period_known CHECK ((VALUE = ANY (ARRAY['day'::text, 'month'::text])));

create table sark.access_tokens (
  name text collate "C" not null,
  role text not null,
  sha256 bytea not null,
  created_at timestamp with time zone not null default clock_timestamp(),
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  account text collate "C",
  constraint access_tokens_pkey PRIMARY KEY (name),
  constraint access_tokens_sha256_key UNIQUE (sha256),
  constraint access_tokens_account_fits_role CHECK ( CASE role WHEN 'budget'::text THEN (account IS NOT NULL) WHEN 'admin'::text THEN (account IS NULL) WHEN 'report'::text THEN true ELSE ((account IS NULL) OR ("position"(account, '/'::text) = 0)) END),
  constraint access_tokens_role_known CHECK ((role = ANY (ARRAY['facts'::text, 'settle'::text, 'report'::text, 'budget'::text, 'admin'::text]))),
  constraint access_tokens_sha256_length CHECK ((octet_length(sha256) = 32))
);

create table sark.accounts (
  org text collate "C" not null,
  account text collate "C" not null,
  parent text collate "C",
  path text[] not null,
  on_expiry sark.on_expiry,
  unknown_principals sark.on_unknown not null default 'deny'::text,
  default_daily_limit_nanousd sark.amount,
  default_monthly_limit_nanousd sark.amount,
  default_enforcement sark.enforcement not null default 'hard'::text,
  created_at timestamp with time zone not null default clock_timestamp(),
  meters text[],
  constraint accounts_pkey PRIMARY KEY (org, account),
  constraint accounts_depth_max CHECK ((cardinality(path) <= 16)),
  constraint accounts_parent_of_all_but_org CHECK (((parent IS NULL) = (account = org))),
  constraint accounts_path_leaf_to_org CHECK (((path[1] = account) AND (path[cardinality(path)] = org))),
  constraint accounts_parent_fkey FOREIGN KEY (org, parent) REFERENCES sark.accounts(org, account)
);

create table sark.audit_events (
  id bigint not null generated always as identity,
  at timestamp with time zone not null default clock_timestamp(),
  actor text not null,
  role text not null,
  action text not null,
  subject text not null,
  outcome text not null,
  code text,
  details jsonb not null default '{}'::jsonb,
  constraint audit_events_pkey PRIMARY KEY (id),
  constraint audit_events_code_iff_refused CHECK (((outcome = 'refused'::text) = (code IS NOT NULL))),
  constraint audit_events_outcome_known CHECK ((outcome = ANY (ARRAY['ok'::text, 'refused'::text])))
);

create table sark.cost_tracking (
  "time" timestamp with time zone not null,
  org text collate "C" not null,
  request_id text collate "C" not null,
  entry smallint not null,
  kind text not null,
  account text collate "C" not null,
  path text[] not null,
  principal_id text collate "C" not null,
  resource_id text collate "C" not null,
  capability_id text collate "C" not null,
  provider text collate "C",
  model text collate "C",
  tokens jsonb not null default '{}'::jsonb,
  usage jsonb not null default '{}'::jsonb,
  estimated_nanousd sark.amount not null,
  held_nanousd sark.amount not null,
  actual_nanousd bigint not null,
  currency text not null default 'USD'::text,
  price_revision text,
  late boolean not null,
  hold_exceeded boolean not null,
  estimated boolean not null,
  tags jsonb not null default '{}'::jsonb,
  metadata jsonb not null default '{}'::jsonb,
  budget_day date not null,
  recorded_at timestamp with time zone not null default clock_timestamp(),
  xid bigint not null default ((pg_current_xact_id())::text)::bigint,
  rerating_id text collate "C",
  constraint cost_tracking_currency_known CHECK ((currency = 'USD'::text)),
  constraint cost_tracking_kind_known CHECK ((kind = ANY (ARRAY['charge'::text, 'expiry'::text, 'reversal'::text]))),
  constraint cost_tracking_only_reversals_negative CHECK ( CASE kind WHEN 'reversal'::text THEN (actual_nanousd <= 0) ELSE (actual_nanousd >= 0) END)
)
partition by RANGE ("time");

create table sark.counters (
  org text collate "C" not null,
  account text collate "C" not null,
  enforcement sark.enforcement not null default 'hard'::text,
  timezone text not null default 'UTC'::text,
  day_limit sark.amount,
  month_limit sark.amount,
  day_starts_at timestamp with time zone not null,
  day_ends_at timestamp with time zone not null,
  month_starts_at timestamp with time zone not null,
  month_ends_at timestamp with time zone not null,
  day_spent sark.amount not null default 0,
  day_held sark.amount not null default 0,
  month_spent sark.amount not null default 0,
  month_held sark.amount not null default 0,
  day_limit_enforced sark.amount,
  month_limit_enforced sark.amount,
  day_extra sark.amount not null default 0,
  month_extra sark.amount not null default 0,
  limits_until timestamp with time zone not null default 'infinity'::timestamp with time zone,
  constraint counters_pkey PRIMARY KEY (org, account)
)
with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000, fillfactor=40);

create table sark.daily_costs (
  org text collate "C" not null,
  dimension text collate "C" not null,
  key text collate "C" not null,
  day date not null,
  charges bigint not null,
  actual_nanousd bigint not null,
  estimated_nanousd bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  constraint daily_costs_pkey PRIMARY KEY (org, dimension, day, key),
  constraint daily_costs_dimension_known CHECK ((dimension = ANY (ARRAY['org'::text, 'account'::text, 'principal'::text, 'resource'::text, 'capability'::text, 'model'::text, 'tag'::text])))
)
with (fillfactor=70);

create table sark.daily_estimate_errors (
  org text collate "C" not null,
  key text collate "C" not null,
  day date not null,
  bucket smallint not null,
  charges bigint not null,
  constraint daily_estimate_errors_pkey PRIMARY KEY (org, day, key, bucket)
)
with (fillfactor=70);

create table sark.daily_groups (
  org text collate "C" not null,
  grain text collate "C" not null,
  day date not null,
  path text collate "C" not null,
  principal_id text collate "C" not null,
  resource_id text collate "C" not null,
  provider text collate "C" not null,
  model text collate "C" not null,
  charges bigint not null,
  actual_nanousd bigint not null,
  estimated_nanousd bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  constraint daily_groups_pkey PRIMARY KEY (org, grain, day, path, principal_id, resource_id, provider, model),
  constraint daily_groups_grain_known CHECK ((grain = ANY (ARRAY['team_model'::text, 'team_principal'::text])))
)
with (fillfactor=70);

create table sark.daily_groups_from (
  org text collate "C" not null,
  day date not null,
  constraint daily_groups_from_pkey PRIMARY KEY (org)
);

create table sark.federation_chains (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  sequence bigint not null default 0,
  digest text,
  seen bigint not null default 0,
  pulled_at timestamp with time zone,
  problem text,
  problem_at timestamp with time zone,
  looked_at_xid bigint not null default 0,
  constraint federation_chains_pkey PRIMARY KEY (org, issuer, audience)
);

create table sark.federation_entries (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  period date not null,
  revision integer not null,
  direction text collate "C" not null,
  alias text collate "C" not null,
  charges bigint not null,
  amount_nanousd bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  constraint federation_entries_pkey PRIMARY KEY (org, issuer, audience, period, revision, direction, alias),
  constraint federation_entries_direction_known CHECK ((direction = ANY (ARRAY['consumed'::text, 'provided'::text])))
);

create table sark.federation_evidence (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  sequence bigint not null,
  digest text not null,
  code text not null,
  envelope bytea not null,
  recorded_at timestamp with time zone not null default clock_timestamp(),
  constraint federation_evidence_pkey PRIMARY KEY (org, issuer, audience, sequence, digest)
);

create table sark.federation_members (
  org text collate "C" not null,
  member text collate "C" not null,
  alias_key bytea not null,
  created_at timestamp with time zone not null default clock_timestamp(),
  constraint federation_members_pkey PRIMARY KEY (org),
  constraint federation_members_alias_key_length CHECK ((octet_length(alias_key) = 32))
);

create table sark.federation_periods (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  period date not null,
  revision integer not null,
  sequence bigint not null,
  constraint federation_periods_pkey PRIMARY KEY (org, issuer, audience, period)
);

create table sark.federation_statements (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  sequence bigint not null,
  digest text not null,
  previous text,
  period date not null,
  revision integer not null,
  issued_at timestamp with time zone not null,
  envelope bytea not null,
  recorded_at timestamp with time zone not null default clock_timestamp(),
  constraint federation_statements_pkey PRIMARY KEY (org, issuer, audience, sequence),
  constraint federation_statements_revision UNIQUE (org, issuer, audience, period, revision)
);

create table sark.federation_totals (
  org text collate "C" not null,
  peer text collate "C" not null,
  day date not null,
  charges bigint not null,
  actual_nanousd bigint not null,
  constraint federation_totals_pkey PRIMARY KEY (org, peer, day)
);

create table sark.federation_transfers (
  org text collate "C" not null,
  direction text collate "C" not null,
  request_id text collate "C" not null,
  transfer_id text collate "C" not null,
  peer text collate "C" not null,
  principal_id text collate "C" not null,
  alias text collate "C" not null,
  resource_id text collate "C" not null,
  capability_id text collate "C" not null,
  amount_nanousd sark.amount not null,
  fingerprint bytea not null,
  state text collate "C" not null,
  code text,
  period date,
  booked_request_id text collate "C",
  charged_at timestamp with time zone,
  actual_nanousd sark.amount,
  word bytea,
  disputed boolean not null default false,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  due_at timestamp with time zone,
  attempts integer not null default 0,
  xid bigint not null default ((pg_current_xact_id())::text)::bigint,
  constraint federation_transfers_pkey PRIMARY KEY (org, direction, request_id),
  constraint federation_transfers_once UNIQUE (org, direction, transfer_id),
  constraint federation_transfers_direction_known CHECK ((direction = ANY (ARRAY['consumed'::text, 'provided'::text]))),
  constraint federation_transfers_settled_whole CHECK (((state <> 'settled'::text) OR (num_nulls(period, booked_request_id, charged_at, actual_nanousd, word) = 0))),
  constraint federation_transfers_state_known CHECK ((state = ANY (ARRAY['proposed'::text, 'accepted'::text, 'refused'::text, 'cancelling'::text, 'cancelled'::text, 'lapsed'::text, 'settled'::text])))
)
with (fillfactor=70);

create table sark.federation_waiting (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  sequence bigint not null,
  statement jsonb not null,
  envelope bytea not null,
  constraint federation_waiting_pkey PRIMARY KEY (org, issuer, audience, sequence)
);

create table sark.fold_mark (
  singleton boolean not null default true,
  xid bigint not null,
  recorded_from timestamp with time zone not null default '-infinity'::timestamp with time zone,
  server text not null,
  folded_at timestamp with time zone not null default clock_timestamp(),
  constraint fold_mark_pkey PRIMARY KEY (singleton),
  constraint fold_mark_one_row CHECK (singleton)
);

create table sark.holds (
  org text collate "C" not null,
  request_id text collate "C" not null,
  path text[] not null,
  amounts sark.amount[] not null,
  expected sark.amount not null,
  fingerprint bytea not null,
  attribution jsonb not null,
  state sark.hold_state not null default 'held'::text,
  charged_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  asked integer not null default 1,
  direct boolean not null default false,
  booked sark.amount not null default 0,
  expiry_booked boolean not null default false,
  settlement_fingerprint bytea,
  price_revision text,
  late boolean not null default false,
  hold_exceeded boolean not null default false,
  estimated boolean not null default false,
  budget_day date,
  settled_nanousd bigint,
  booked_least bigint,
  meters text[],
  meter_amounts sark.amount[],
  booked_tokens bigint,
  constraint holds_pkey PRIMARY KEY (org, request_id),
  constraint holds_amount_each_level CHECK ((cardinality(path) = cardinality(amounts))),
  constraint holds_booked_only_after_end CHECK ((((booked)::bigint = 0) OR ((state)::text = ANY (ARRAY['settled'::text, 'expired'::text])))),
  constraint holds_ended_at_iff_ended CHECK ((((state)::text = 'held'::text) = (ended_at IS NULL))),
  constraint holds_settlement_iff_settled CHECK ((((state)::text = 'settled'::text) = (settlement_fingerprint IS NOT NULL)))
)
with (fillfactor=80);

create table sark.limit_raises (
  org text collate "C" not null,
  account text collate "C" not null,
  raise_id text collate "C" not null,
  day_extra_nanousd sark.amount not null,
  month_extra_nanousd sark.amount not null,
  starts_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  author text not null,
  reason text not null,
  created_at timestamp with time zone not null default clock_timestamp(),
  cancelled_at timestamp with time zone,
  cancelled_by text,
  constraint limit_raises_pkey PRIMARY KEY (org, account, raise_id),
  constraint limit_raises_cancelled_by_iff_cancelled CHECK (((cancelled_at IS NULL) = (cancelled_by IS NULL))),
  constraint limit_raises_in_order CHECK ((starts_at < expires_at)),
  constraint limit_raises_raise_something CHECK ((((day_extra_nanousd)::bigint > 0) OR ((month_extra_nanousd)::bigint > 0))),
  constraint limit_raises_account_fkey FOREIGN KEY (org, account) REFERENCES sark.accounts(org, account)
);

create table sark.migrations (
  number integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default clock_timestamp(),
  constraint migrations_pkey PRIMARY KEY (number)
);

create table sark.nested_teams (
  org text collate "C" not null,
  constraint nested_teams_pkey PRIMARY KEY (org)
);

create table sark.org_moves (
  org text collate "C" not null,
  move_id text not null,
  direction text not null,
  state text not null,
  peer text not null,
  progress jsonb not null default '{}'::jsonb,
  started_at timestamp with time zone not null default clock_timestamp(),
  closed_at timestamp with time zone,
  finished_at timestamp with time zone,
  dropped_at timestamp with time zone,
  constraint org_moves_pkey PRIMARY KEY (org),
  constraint org_moves_direction_known CHECK ((direction = ANY (ARRAY['out'::text, 'in'::text]))),
  constraint org_moves_state_known CHECK ( CASE direction WHEN 'out'::text THEN (state = ANY (ARRAY['copying'::text, 'closing'::text, 'closed'::text, 'moved'::text])) ELSE (state = ANY (ARRAY['receiving'::text, 'active'::text])) END)
);

create table sark.parked_holds (
  org text collate "C" not null,
  request_id text collate "C" not null,
  expires_at timestamp with time zone not null,
  constraint parked_holds_pkey PRIMARY KEY (org, request_id)
);

create table sark.period_history (
  org text collate "C" not null,
  account text collate "C" not null,
  period sark.period not null,
  starts_at timestamp with time zone not null,
  ends_at timestamp with time zone not null,
  spent sark.amount not null,
  held sark.amount not null,
  constraint period_history_pkey PRIMARY KEY (org, account, period, starts_at),
  constraint period_history_in_order CHECK ((starts_at < ends_at))
);

create table sark.plugins (
  name text collate "C" not null,
  version text,
  media_type text,
  content bytea,
  digest text,
  enabled boolean not null default true,
  config jsonb not null default '{}'::jsonb,
  revision bigint not null default 0,
  load_revision bigint not null default 0,
  release_revision bigint not null default 0,
  updated_at timestamp with time zone not null default clock_timestamp(),
  updated_by text not null,
  constraint plugins_pkey PRIMARY KEY (name),
  constraint plugins_config_is_object CHECK ((jsonb_typeof(config) = 'object'::text)),
  constraint plugins_content_whole CHECK ((num_nulls(version, media_type, content, digest) = ANY (ARRAY[0, 4])))
);

create table sark.price_books (
  revision text collate "C" not null,
  price_list text collate "C" not null,
  "overlay" text,
  registered_at timestamp with time zone not null default clock_timestamp(),
  constraint price_books_pkey PRIMARY KEY (revision)
);

create table sark.reratings (
  org text collate "C" not null,
  rerating_id text collate "C" not null,
  price_revision text collate "C" not null,
  selection jsonb not null,
  author text not null,
  reason text not null,
  charges bigint not null default 0,
  difference_nanousd bigint not null default 0,
  started_at timestamp with time zone not null default clock_timestamp(),
  finished_at timestamp with time zone,
  constraint reratings_pkey PRIMARY KEY (org, rerating_id),
  constraint reratings_price_revision_fkey FOREIGN KEY (price_revision) REFERENCES sark.price_books(revision)
);

create table sark.storage (
  singleton boolean not null default true,
  tier text not null,
  keep_charges_days integer,
  charges_kept_from timestamp with time zone not null default '-infinity'::timestamp with time zone,
  constraint storage_pkey PRIMARY KEY (singleton),
  constraint storage_keeps_two_months CHECK ((keep_charges_days >= 62)),
  constraint storage_one_row CHECK (singleton),
  constraint storage_tier_known CHECK ((tier = ANY (ARRAY['plain'::text, 'apache'::text, 'tsl'::text])))
);

create table sark.tag_values (
  org text collate "C" not null,
  key text collate "C" not null,
  constraint tag_values_pkey PRIMARY KEY (org, key)
);

create table sark.tags (
  org text collate "C" not null,
  tag text collate "C" not null,
  values_seen integer not null,
  constraint tags_pkey PRIMARY KEY (org, tag)
);

create table sark.unpriced_calls (
  org text collate "C" not null,
  provider text collate "C" not null,
  model text collate "C" not null,
  status text not null,
  day date not null,
  calls bigint not null,
  last_at timestamp with time zone not null,
  constraint unpriced_calls_pkey PRIMARY KEY (org, day, provider, model, status),
  constraint unpriced_calls_status_known CHECK ((status = ANY (ARRAY['unpriced'::text, 'default'::text])))
)
with (fillfactor=70);

CREATE INDEX audit_events_action ON sark.audit_events USING btree (action, id);

CREATE INDEX audit_events_subject ON sark.audit_events USING btree (subject, id);

CREATE INDEX cost_tracking_principal ON sark.cost_tracking USING btree (org, principal_id, "time" DESC);

CREATE INDEX cost_tracking_xid ON sark.cost_tracking USING brin (xid) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX daily_costs_key ON sark.daily_costs USING btree (org, dimension, key, day);

CREATE INDEX daily_costs_org ON sark.daily_costs USING btree (day, org) WHERE (dimension = 'org'::text);

CREATE INDEX federation_transfers_charged ON sark.federation_transfers USING btree (org, charged_at);

CREATE INDEX federation_transfers_due ON sark.federation_transfers USING btree (org, due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX federation_transfers_open ON sark.federation_transfers USING btree (org, direction, expires_at) WHERE
  (state = ANY (ARRAY['proposed'::text, 'accepted'::text, 'lapsed'::text, 'cancelled'::text]));

CREATE INDEX federation_transfers_period ON sark.federation_transfers USING btree (org, period, peer);

CREATE INDEX federation_transfers_xid ON sark.federation_transfers USING btree (org, xid);

CREATE INDEX holds_charged_at ON sark.holds USING brin (charged_at) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX holds_expired ON sark.holds USING btree (org, charged_at) WHERE ((state)::text = 'expired'::text);

CREATE INDEX holds_overdue ON sark.holds USING btree (expires_at) WHERE ((state)::text = 'held'::text);

CREATE INDEX limit_raises_running ON sark.limit_raises USING btree (org, account, expires_at) WHERE (cancelled_at IS
  NULL);

CREATE UNIQUE INDEX cost_tracking_once ON sark.cost_tracking USING btree (org, request_id, entry, "time");

CREATE UNIQUE INDEX reratings_open ON sark.reratings USING btree (org, price_revision, selection) WHERE (finished_at IS
  NULL);

CREATE TRIGGER accounts_nested_teams AFTER INSERT OR UPDATE ON sark.accounts FOR EACH ROW WHEN ((split_part(new.account,
  '/'::text, 2) = 'team'::text)) EXECUTE FUNCTION sark.note_nested_team();

CREATE TRIGGER audit_events_append_only BEFORE DELETE OR UPDATE ON sark.audit_events FOR EACH ROW EXECUTE FUNCTION
  sark.refuse_edit();

CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON sark.audit_events FOR EACH STATEMENT EXECUTE FUNCTION
  sark.refuse_edit();

CREATE TRIGGER cost_tracking_append_only BEFORE DELETE OR UPDATE ON sark.cost_tracking FOR EACH ROW EXECUTE FUNCTION
  sark.refuse_edit();

CREATE TRIGGER cost_tracking_no_truncate BEFORE TRUNCATE ON sark.cost_tracking FOR EACH STATEMENT EXECUTE FUNCTION
  sark.refuse_edit();

CREATE TRIGGER federation_entries_append_only BEFORE DELETE OR UPDATE ON sark.federation_entries FOR EACH ROW EXECUTE
  FUNCTION sark.refuse_edit();

CREATE TRIGGER federation_entries_no_truncate BEFORE TRUNCATE ON sark.federation_entries FOR EACH STATEMENT EXECUTE
  FUNCTION sark.refuse_edit();

CREATE TRIGGER federation_evidence_append_only BEFORE DELETE OR UPDATE ON sark.federation_evidence FOR EACH ROW EXECUTE
  FUNCTION sark.refuse_edit();

CREATE TRIGGER federation_evidence_no_truncate BEFORE TRUNCATE ON sark.federation_evidence FOR EACH STATEMENT EXECUTE
  FUNCTION sark.refuse_edit();

CREATE TRIGGER federation_statements_append_only BEFORE DELETE OR UPDATE ON sark.federation_statements FOR EACH ROW
  EXECUTE FUNCTION sark.refuse_edit();

CREATE TRIGGER federation_statements_no_truncate BEFORE TRUNCATE ON sark.federation_statements FOR EACH STATEMENT
  EXECUTE FUNCTION sark.refuse_edit();

create view sark.mv_daily_cost_summary as SELECT day AS date, org, key AS principal_id, charges AS invocation_count,
  ((actual_nanousd)::numeric / '1000000000'::numeric) AS total_cost, CASE WHEN (charges > 0) THEN
  (((actual_nanousd)::numeric / '1000000000'::numeric) / (charges)::numeric) ELSE NULL::numeric END AS avg_cost FROM
  sark.daily_costs WHERE (dimension = 'principal'::text);

create view sark.principal_budgets as SELECT org, substr(account, ((length(org) + length('/principal/'::text)) + 1)) AS
  principal_id, parent, enforcement, timezone, 'USD'::text AS currency, ((((day_limit)::bigint + day_extra))::numeric /
  '1000000000'::numeric) AS daily_budget, ((((month_limit)::bigint + month_extra))::numeric / '1000000000'::numeric) AS
  monthly_budget, (( CASE WHEN (clock_timestamp() < day_ends_at) THEN (day_spent)::bigint ELSE (0)::bigint END)::numeric
  / '1000000000'::numeric) AS daily_spent, (( CASE WHEN (clock_timestamp() < day_ends_at) THEN (day_held)::bigint ELSE
  (0)::bigint END)::numeric / '1000000000'::numeric) AS daily_held, (( CASE WHEN (clock_timestamp() < month_ends_at)
  THEN (month_spent)::bigint ELSE (0)::bigint END)::numeric / '1000000000'::numeric) AS monthly_spent, (( CASE WHEN
  (clock_timestamp() < month_ends_at) THEN (month_held)::bigint ELSE (0)::bigint END)::numeric / '1000000000'::numeric)
  AS monthly_held FROM ((sark.counters c JOIN sark.accounts a ON (((org = org) AND (account = account)))) CROSS JOIN
  LATERAL ( SELECT (COALESCE(sum((day_extra_nanousd)::bigint), (0)::numeric))::bigint AS day_extra,
  (COALESCE(sum((month_extra_nanousd)::bigint), (0)::numeric))::bigint AS month_extra FROM sark.limit_raises r WHERE
  ((org = org) AND (account = account) AND (cancelled_at IS NULL) AND (starts_at <= clock_timestamp()) AND
  (clock_timestamp() < expires_at))) e) WHERE starts_with(account, (org || '/principal/'::text));

create function sark.account_json_v1(p_org text, p_account text) returns json language sql stable;

create function sark.account_meters_v1(p_org text, p_path text[]) returns text[] language sql stable;

create function sark.account_status_v1(p_org text, p_account text, p_now timestamp with time zone DEFAULT
  NULL::timestamp with time zone) returns json language sql stable;

create function sark.admit_v1(p_requests jsonb, p_orgs text[], p_accounts text[], OUT needs bigint[], OUT keys text[],
  OUT accounts text[], OUT windows text[]) returns record language plpgsql volatile set enable_bitmapscan=off set
  enable_hashjoin=off set enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.audit_v1(p_event jsonb) returns bigint language sql volatile;

create function sark.billed_tokens_v1(p_tokens jsonb) returns bigint language sql immutable;

create function sark.cancel_raise_v1(p_org text, p_account text, p_raise_id text, p_cancelled_by text, p_event jsonb,
  p_now timestamp with time zone DEFAULT NULL::timestamp with time zone) returns json language plpgsql volatile;

create function sark.change_plugin_v1(p_name text, p_change jsonb, p_event jsonb) returns json language plpgsql volatile;

create function sark.charge_json_v1(h sark.holds) returns json language sql stable;

create function sark.charge_v1(p_request jsonb, p_settlement jsonb, p_create_orgs boolean, p_now timestamp with time
  zone DEFAULT NULL::timestamp with time zone) returns json language plpgsql volatile set enable_bitmapscan=off set
  enable_hashjoin=off set enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.check_split_v1(p_within text, p_before jsonb, p_edits jsonb) returns json language plpgsql volatile;

create function sark.close_org_v1(p_org text) returns timestamp with time zone language plpgsql volatile;

create function sark.cost_group_key_v1(p_kind text, p_org text, p_path text, p_principal text, p_resource text,
  p_provider text, p_model text) returns text language sql immutable parallel safe;

create function sark.cost_groups_v1(p_org text, p_dimension text, p_unit text, p_kinds text[], p_tags text[], p_from_day
  date, p_to_day date, p_from_at timestamp with time zone, p_to_at timestamp with time zone, p_timezone text, p_own
  boolean, p_filters jsonb) returns TABLE(bucket timestamp without time zone, key_1 text, key_2 text, key_3 text, key_4
  text, charges bigint, actual_nanousd bigint, estimated_nanousd bigint, input_tokens bigint, output_tokens bigint,
  cache_read_tokens bigint, cache_write_tokens bigint) language plpgsql stable set enable_sort=off set jit=off set
  plan_cache_mode=force_custom_plan set work_mem=64MB;

create function sark.cost_key_v1(p_kind text, p_tag text, p_org text, p_path text[], p_principal text, p_resource text,
  p_capability text, p_provider text, p_model text, p_tags jsonb) returns text language sql stable parallel safe;

create function sark.cost_lines_v1(p_org text, p_dimension text, p_unit text, p_kinds text[], p_tags text[], p_from_day
  date, p_to_day date, p_from_at timestamp with time zone, p_to_at timestamp with time zone, p_timezone text, p_own
  boolean, p_mark_xid bigint, p_mark_from timestamp with time zone, p_tag text, p_principals text[], p_teams text[],
  p_resources text[], p_capabilities text[], p_providers text[], p_models text[], p_within text[], p_with_tags jsonb)
  returns TABLE(bucket timestamp without time zone, key_1 text, key_2 text, key_3 text, key_4 text, charges integer,
  actual_nanousd bigint, estimated_nanousd bigint, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,
  cache_write_tokens bigint) language sql stable parallel safe;

create function sark.cost_summary_key_v1(p_kind text, p_org text, p_key text) returns text language sql immutable
  parallel safe;

create function sark.cost_summary_v1(p_org text, p_dimension text, p_unit text, p_kinds text[], p_tags text[],
  p_from_day date, p_to_day date, p_from_at timestamp with time zone, p_to_at timestamp with time zone, p_timezone text,
  p_own boolean, p_filters jsonb, p_order text, p_limit integer, p_after jsonb) returns json language plpgsql stable set
  jit=off;

create function sark.cost_tag_v1(p_org text, p_tag text, p_value text) returns text language sql stable parallel safe;

create function sark.drop_charges_v1(p_now timestamp with time zone DEFAULT NULL::timestamp with time zone) returns
  timestamp with time zone language plpgsql volatile security definer set lock_timeout=2s set search_path=pg_catalog,
  pg_temp;

create function sark.drop_holds_v1(p_rows_max integer DEFAULT 5000) returns integer language plpgsql volatile;

create function sark.drop_org_rows_v1(p_org text, p_table text, p_rows_max integer DEFAULT 20000) returns bigint
  language plpgsql volatile;

create function sark.edit_accounts_v1(p_edits jsonb, p_within text DEFAULT NULL::text, p_now timestamp with time zone
  DEFAULT NULL::timestamp with time zone) returns json language plpgsql volatile;

create function sark.edit_counter_v1(p_counter sark.counters, p_enforcement text, p_timezone text, p_day_limit bigint,
  p_month_limit bigint, p_at timestamp with time zone) returns void language plpgsql volatile;

create function sark.enter_windows_v1(p_requests jsonb, p_orgs text[], p_accounts text[], p_at timestamp with time zone)
  returns void language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set enable_mergejoin=off set
  enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.expire_v1(p_rows_max integer, p_now timestamp with time zone DEFAULT NULL::timestamp with time
  zone) returns integer language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set
  enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.extend_v1(p_org text, p_request text, p_ttl_s integer, p_now timestamp with time zone DEFAULT
  NULL::timestamp with time zone) returns json language plpgsql volatile set enable_seqscan=off set jit=off set
  plan_cache_mode=force_generic_plan;

create function sark.extras_v1(p_org text, p_account text, p_at timestamp with time zone, OUT day_extra bigint, OUT
  month_extra bigint, OUT until timestamp with time zone) returns record language sql stable;

create function sark.federation_append_v1(p_org text, p_statement jsonb, p_envelope bytea, p_own boolean) returns text
  language plpgsql volatile set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.federation_booked_v1(p_org text, p_request text) returns json language plpgsql stable set jit=off
  set plan_cache_mode=force_custom_plan;

create function sark.federation_claim_v1(p_org text, p_rows_max integer, p_again_s integer, p_now timestamp with time
  zone) returns json language sql volatile set enable_seqscan=off set jit=off;

create function sark.federation_figures_v1(p_org text, p_peer text, p_from date, p_to date) returns TABLE(peer text,
  period date, direction text, alias text, principal_id text, charges bigint, amount_nanousd bigint, input_tokens
  bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint) language plpgsql stable set jit=off
  set plan_cache_mode=force_custom_plan;

create function sark.federation_move_v1(p_org text, p_direction text, p_transfer text, p_from text[], p_change jsonb)
  returns json language plpgsql volatile set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.federation_open_v1(p_transfer jsonb) returns json language plpgsql volatile set enable_seqscan=off
  set jit=off set plan_cache_mode=force_generic_plan;

create function sark.federation_touched_v1(p_org text, p_peer text, p_since bigint) returns json language sql stable set
  enable_seqscan=off set jit=off;

create function sark.federation_transfer_json_v1(t sark.federation_transfers) returns jsonb language sql stable;

create function sark.find_hold_v1(p_org text, p_request text) returns json language sql stable;

create function sark.focus_charges_v1(p_org text, p_from timestamp with time zone, p_to timestamp with time zone,
  p_period_from timestamp with time zone, p_period_to timestamp with time zone, p_within text[], p_xmin bigint, p_xmax
  bigint, p_open bigint[], p_recorded_from timestamp with time zone, p_guarded boolean) returns TABLE("BilledCost"
  numeric, "BillingAccountId" text, "BillingAccountName" text, "BillingAccountType" text, "BillingCurrency" text,
  "BillingPeriodEnd" text, "BillingPeriodStart" text, "ChargeCategory" text, "ChargeClass" text, "ChargeDescription"
  text, "ChargeFrequency" text, "ChargePeriodEnd" text, "ChargePeriodStart" text, "ConsumedQuantity" numeric,
  "ConsumedUnit" text, "ContractedCost" numeric, "ContractedUnitPrice" numeric, "EffectiveCost" numeric,
  "HostProviderName" text, "InvoiceId" text, "InvoiceIssuerName" text, "ListCost" numeric, "ListUnitPrice" numeric,
  "PricingCategory" text, "PricingQuantity" numeric, "PricingUnit" text, "ProviderName" text, "PublisherName" text,
  "RegionId" text, "RegionName" text, "ResourceId" text, "ResourceName" text, "ResourceType" text, "ServiceCategory"
  text, "ServiceName" text, "ServiceProviderName" text, "ServiceSubcategory" text, "SkuId" text, "SkuMeter" text,
  "SkuPriceDetails" text, "SkuPriceId" text, "SubAccountId" text, "SubAccountName" text, "SubAccountType" text, "Tags"
  text, "x_Account" text, "x_AccountPath" text, "x_BudgetDay" date, "x_CacheReadTokens" bigint, "x_CacheWriteTokens"
  bigint, "x_CapabilityId" text, "x_ChargedAt" text, "x_Entry" smallint, "x_EntryKind" text, "x_Estimated" text,
  "x_EstimatedCost" numeric, "x_HeldCost" numeric, "x_HoldExceeded" text, "x_InputTokens" bigint, "x_Late" text,
  "x_Model" text, "x_OutputTokens" bigint, "x_PriceRevision" text, "x_PrincipalId" text, "x_Provider" text,
  "x_RecordedAt" text, "x_RequestId" text, "x_ReratingId" text, "x_Tokens" text) language sql stable;

create function sark.fold_rows_v1(p_from bigint, p_to bigint, p_recorded_from timestamp with time zone, p_time_from
  timestamp with time zone DEFAULT NULL::timestamp with time zone, p_time_to timestamp with time zone DEFAULT
  NULL::timestamp with time zone, p_after_day date DEFAULT NULL::date) returns bigint language plpgsql volatile set
  jit=off set work_mem=64MB;

create function sark.fold_v1(p_rows_max integer DEFAULT 20000) returns bigint language plpgsql volatile;

create function sark.group_day_v1() returns bigint language plpgsql volatile set jit=off set work_mem=64MB;

create function sark.guard_org_table_v1(p_table text) returns void language plpgsql volatile set lock_timeout=2s;

create function sark.held_tokens_v1(p_meters text[], p_amounts sark.amount[]) returns bigint language sql immutable;

create function sark.hold_answers_v1(p_requests jsonb, p_blocked_keys text[], p_blocked_accounts text[],
  p_blocked_windows text[], p_at timestamp with time zone) returns json language plpgsql volatile set
  enable_bitmapscan=off set enable_hashjoin=off set enable_mergejoin=off set enable_seqscan=off set jit=off set
  plan_cache_mode=force_generic_plan;

create function sark.hold_batch_v2(p_requests jsonb, p_create_orgs boolean, p_now timestamp with time zone DEFAULT
  NULL::timestamp with time zone) returns json language plpgsql volatile set enable_bitmapscan=off set
  enable_hashjoin=off set enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.hold_json_v1(h sark.holds) returns json language sql stable;

create function sark.hold_one_v1(p_requests jsonb, p_at timestamp with time zone, p_now timestamp with time zone)
  returns json language plpgsql volatile;

create function sark.hold_slowly_v2(p_requests jsonb, p_entered text[], p_orgs text[], p_accounts text[], p_now
  timestamp with time zone) returns json language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set
  enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.import_batch_v1(p_from bigint, p_to bigint, p_import text) returns json language plpgsql volatile
  set jit=off set plan_cache_mode=force_custom_plan set work_mem=64MB;

create function sark.import_spent_v1(p_from bigint, p_to bigint, p_rows bigint[]) returns void language plpgsql volatile
  set jit=off set plan_cache_mode=force_custom_plan set work_mem=64MB;

create function sark.import_week_v1(p_week timestamp with time zone) returns integer language plpgsql volatile set
  lock_timeout=2s;

create function sark.keep_partitions_v1(p_weeks_ahead integer DEFAULT 5, p_now timestamp with time zone DEFAULT
  NULL::timestamp with time zone) returns integer language plpgsql volatile security definer set lock_timeout=2s set
  search_path=pg_catalog, pg_temp;

create function sark.meter_amounts_v1(p_org text, p_meters text[], p_request jsonb) returns bigint[] language sql stable;

create function sark.move_columns_v1(p_table text) returns TABLE(name text, expression text) language sql stable;

create function sark.move_digest_v1(p_table text, p_org text, p_kept_from text, OUT rows bigint, OUT digest numeric)
  returns record language plpgsql stable set DateStyle=ISO set TimeZone=UTC set bytea_output=hex set
  extra_float_digits=1 set jit=off;

create function sark.move_merge_holds_v1() returns bigint language plpgsql volatile;

create function sark.move_past_v2(p_org text[], p_request text[], p_spent bigint[], p_held boolean[], p_tokens bigint[],
  p_calls bigint[]) returns void language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set
  enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.move_source_v1(p_table text, p_org text, p_part jsonb DEFAULT '{}'::jsonb) returns text language
  plpgsql stable;

create function sark.move_sums_v1(p_orgs text[], p_accounts text[], p_freed bigint[], p_spent bigint[], p_earliest
  timestamp with time zone[]) returns boolean language plpgsql volatile;

create function sark.move_target_v1(p_table text, p_part jsonb DEFAULT '{}'::jsonb, p_into text DEFAULT NULL::text)
  returns text language sql stable;

create function sark.move_v1(p_org text[], p_request text[], p_spent bigint[], p_held boolean[]) returns void language
  plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set enable_mergejoin=off set enable_seqscan=off set
  jit=off set plan_cache_mode=force_generic_plan;

create function sark.move_v2(p_org text[], p_request text[], p_spent bigint[], p_held boolean[], p_tokens bigint[],
  p_calls bigint[]) returns void language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set
  enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.note_nested_team() returns trigger language plpgsql volatile;

create function sark.on_expiry_v1(p_org text, p_path text[]) returns text language sql stable;

create function sark.open_accounts_v1(p_requests jsonb, p_create_orgs boolean, p_at timestamp with time zone) returns
  void language plpgsql volatile;

create function sark.org_tables_v1() returns TABLE(name text, part text, guarded boolean) language sql immutable;

create function sark.partition_name_v1(p_week timestamp with time zone) returns text language sql immutable;

create function sark.plugin_head_v1(p_plugin sark.plugins) returns json language sql stable;

create function sark.prepare_weeks_v1(p_from timestamp with time zone, p_to timestamp with time zone) returns integer
  language plpgsql volatile set lock_timeout=2s;

create function sark.put_account_audited_v1(p_org text, p_settings jsonb, p_event jsonb, p_now timestamp with time zone
  DEFAULT NULL::timestamp with time zone) returns json language plpgsql volatile;

create function sark.put_account_v1(p_org text, p_settings jsonb, p_now timestamp with time zone DEFAULT NULL::timestamp
  with time zone) returns json language plpgsql volatile;

create function sark.put_meters_v1(p_org text, p_account text, p_settings jsonb, p_found boolean, p_moved boolean, p_at
  timestamp with time zone) returns void language plpgsql volatile;

create function sark.put_plugin_v1(p_name text, p_plugin jsonb, p_content bytea, p_event jsonb) returns json language
  plpgsql volatile;

create function sark.put_raise_v1(p_org text, p_raise jsonb, p_event jsonb, p_now timestamp with time zone DEFAULT
  NULL::timestamp with time zone) returns json language plpgsql volatile;

create function sark.raise_json_v1(p_raise sark.limit_raises) returns json language sql immutable;

create function sark.rebuild_summaries_v1() returns bigint language plpgsql volatile set jit=off;

create function sark.refresh_limits_v1(p_org text[], p_account text[], p_at timestamp with time zone[]) returns void
  language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set enable_mergejoin=off set
  enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.refuse_edit() returns trigger language plpgsql volatile;

create function sark.refuse_moved_org() returns trigger language plpgsql volatile;

create function sark.release_batch_v1(p_releases jsonb, p_now timestamp with time zone DEFAULT NULL::timestamp with time
  zone) returns json language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set
  enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.remove_plugin_v1(p_name text, p_event jsonb) returns boolean language plpgsql volatile;

create function sark.reopen_org_v1(p_org text) returns boolean language plpgsql volatile;

create function sark.rerate_batch_v1(p_org text, p_rerating text, p_revision text, p_lines jsonb) returns json language
  plpgsql volatile set enable_seqscan=off set jit=off set plan_cache_mode=force_custom_plan;

create function sark.rerate_begin_v1(p_org text, p_rerating jsonb, p_event jsonb) returns json language plpgsql volatile;

create function sark.rerate_finish_v1(p_org text, p_rerating text, p_event jsonb) returns json language plpgsql volatile;

create function sark.roll_v1(p_org text[], p_account text[], p_at timestamp with time zone[]) returns void language
  plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set enable_mergejoin=off set enable_seqscan=off set
  jit=off set plan_cache_mode=force_generic_plan;

create function sark.settle_batch_v2(p_settlements jsonb, p_now timestamp with time zone DEFAULT NULL::timestamp with
  time zone) returns json language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set
  enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.settle_meters_v1(p_settlements jsonb, p_org text[], p_request text[], p_spent bigint[], p_held
  boolean[]) returns void language plpgsql volatile set enable_bitmapscan=off set enable_hashjoin=off set
  enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.split_v1(p_account text) returns jsonb language sql stable;

create function sark.spreadsheet_text_v1(p_text text, p_guarded boolean) returns text language sql immutable;

create function sark.status_v1(p_org text, p_principal text, p_team text, p_create_orgs boolean, p_now timestamp with
  time zone DEFAULT NULL::timestamp with time zone) returns json language plpgsql stable set enable_hashjoin=off set
  enable_mergejoin=off set enable_seqscan=off set jit=off set plan_cache_mode=force_generic_plan;

create function sark.tag_key_v1(p_org text, p_key text) returns text language plpgsql volatile;

create function sark.window_v1(p_at timestamp with time zone, p_timezone text, p_period text, OUT starts_at timestamp
  with time zone, OUT ends_at timestamp with time zone) returns record language sql immutable;

create function sark.windows_v1(p_org text[], p_account text[], p_at timestamp with time zone) returns TABLE(ordinal
  bigint, account text, enforcement text, day_limit bigint, day_spent bigint, day_held bigint, day_starts_at timestamp
  with time zone, day_ends_at timestamp with time zone, month_limit bigint, month_spent bigint, month_held bigint,
  month_starts_at timestamp with time zone, month_ends_at timestamp with time zone) language sql stable;
