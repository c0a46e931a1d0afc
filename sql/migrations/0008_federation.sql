-- Spend statements of other organisations, and calls across organisations.
--
-- A member of the federation is an organisation with a sark-opa of its own; `org` is its org in this database. All
-- amounts are 10^-9 USD.

-- Who we are to the others, and what makes aliases of our principals' ids: 32 random bytes that outlive signing keys.
create table sark.federation_members (
  org text collate "C" not null,
  member text collate "C" not null,
  alias_key bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint federation_members_pkey primary key (org),
  constraint federation_members_alias_key_length check (octet_length(alias_key) = 32)
);

-- One row a call across organisations: at its home as `consumed`, at its host as `provided`.
create table sark.federation_transfers (
  org text collate "C" not null,
  direction text collate "C" not null,
  request_id text collate "C" not null,          -- of the hold in this ledger; at the host the transfer's id
  transfer_id text collate "C" not null,
  peer text collate "C" not null,                -- the other member
  principal_id text collate "C" not null,        -- in this ledger
  alias text collate "C" not null,               -- what both sides call the principal
  resource_id text collate "C" not null,
  capability_id text collate "C" not null,
  amount_nanousd sark.amount not null,           -- the most it may cost
  fingerprint bytea not null,
  state text collate "C" not null,
  code text,                                     -- why it was refused, cancelled or lapsed
  period date,                                   -- UTC day by the host's clock when it accepted; null: never accepted
  booked_request_id text collate "C",            -- its charges lie under this request, at charged_at
  charged_at timestamptz,
  actual_nanousd sark.amount,
  word bytea,                                    -- the host's last signed word about it
  disputed boolean not null default false,       -- the host settled what we never granted
  created_at timestamptz not null,
  expires_at timestamptz not null,
  due_at timestamptz,                            -- when something is to be done about it
  attempts integer not null default 0,
  xid bigint not null default pg_current_xact_id()::text::bigint,  -- of the last change
  constraint federation_transfers_pkey primary key (org, direction, request_id),
  constraint federation_transfers_once unique (org, direction, transfer_id),
  constraint federation_transfers_direction_known check (direction in ('consumed', 'provided')),
  constraint federation_transfers_state_known
    check (state in ('proposed', 'accepted', 'refused', 'cancelling', 'cancelled', 'lapsed', 'settled')),
  constraint federation_transfers_settled_whole
    check (state <> 'settled' or num_nulls(period, booked_request_id, charged_at, actual_nanousd, word) = 0)
) with (fillfactor = 70);

create index federation_transfers_due on sark.federation_transfers (org, due_at) where due_at is not null;
create index federation_transfers_open on sark.federation_transfers (org, direction, expires_at)
  where state in ('proposed', 'accepted', 'lapsed', 'cancelled');
create index federation_transfers_period on sark.federation_transfers (org, period, peer);
create index federation_transfers_xid on sark.federation_transfers (org, xid);
create index federation_transfers_charged on sark.federation_transfers (org, charged_at);

-- Each issuer keeps a chain of statements for each audience: where it stands here, and what is wrong with it.
create table sark.federation_chains (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  sequence bigint not null default 0,            -- of the last statement that is taken
  digest text,                                   -- of that statement
  seen bigint not null default 0,                -- the last one the issuer said there is
  pulled_at timestamptz,
  problem text,
  problem_at timestamptz,
  looked_at_xid bigint not null default 0,       -- own chains: charges of earlier transactions are in statements
  constraint federation_chains_pkey primary key (org, issuer, audience)
);

-- What the summaries said of the calls with a peer when they were last looked at: a day that says something else now has
-- to be stated anew.
create table sark.federation_totals (
  org text collate "C" not null,
  peer text collate "C" not null,
  day date not null,                             -- as in sark.daily_costs
  charges bigint not null,
  actual_nanousd bigint not null,
  constraint federation_totals_pkey primary key (org, peer, day)
);

-- Statements, ours and the peers', append-only. A corrected day is a new statement with the day's next revision.
create table sark.federation_statements (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  sequence bigint not null,
  digest text not null,                          -- SHA-256 of the signed bytes, in hex
  previous text,                                 -- the digest before it; null in the first one
  period date not null,                          -- a UTC day
  revision integer not null,
  issued_at timestamptz not null,
  envelope bytea not null,                       -- as it came, with its signature
  recorded_at timestamptz not null default clock_timestamp(),
  constraint federation_statements_pkey primary key (org, issuer, audience, sequence),
  constraint federation_statements_revision unique (org, issuer, audience, period, revision)
);

create table sark.federation_entries (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  period date not null,
  revision integer not null,
  direction text collate "C" not null,           -- as the issuer sees it
  alias text collate "C" not null,
  charges bigint not null,
  amount_nanousd bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  constraint federation_entries_pkey primary key (org, issuer, audience, period, revision, direction, alias),
  constraint federation_entries_direction_known check (direction in ('consumed', 'provided'))
);

-- The revision of each day that counts: the last one.
create table sark.federation_periods (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  period date not null,
  revision integer not null,
  sequence bigint not null,
  constraint federation_periods_pkey primary key (org, issuer, audience, period)
);

-- Statements that came before their predecessors.
create table sark.federation_waiting (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  sequence bigint not null,
  statement jsonb not null,
  envelope bytea not null,
  constraint federation_waiting_pkey primary key (org, issuer, audience, sequence)
);

-- What was refused although its issuer signed it: a changed past, a broken chain. Append-only.
create table sark.federation_evidence (
  org text collate "C" not null,
  issuer text collate "C" not null,
  audience text collate "C" not null,
  sequence bigint not null,
  digest text not null,
  code text not null,
  envelope bytea not null,
  recorded_at timestamptz not null default clock_timestamp(),
  constraint federation_evidence_pkey primary key (org, issuer, audience, sequence, digest)
);

create trigger federation_statements_append_only before update or delete on sark.federation_statements
  for each row execute function sark.refuse_edit();
create trigger federation_statements_no_truncate before truncate on sark.federation_statements
  for each statement execute function sark.refuse_edit();
create trigger federation_entries_append_only before update or delete on sark.federation_entries
  for each row execute function sark.refuse_edit();
create trigger federation_entries_no_truncate before truncate on sark.federation_entries
  for each statement execute function sark.refuse_edit();
create trigger federation_evidence_append_only before update or delete on sark.federation_evidence
  for each row execute function sark.refuse_edit();
create trigger federation_evidence_no_truncate before truncate on sark.federation_evidence
  for each statement execute function sark.refuse_edit();
