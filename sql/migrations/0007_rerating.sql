-- Price books that charges name, and re-ratings: charges that are priced anew by another book, each by a reversal of
-- what was booked and a new charge.

-- What a revision stands for, so that a charge can be explained after the prices have changed. Not an org's: services
-- price by one book.
create table sark.price_books (
  revision text collate "C" not null,            -- as charges name it
  price_list text collate "C" not null,          -- release of the public list
  overlay text,                                  -- own prices as canonical JSON; null: the public list alone
  registered_at timestamptz not null default clock_timestamp(),
  constraint price_books_pkey primary key (revision)
);

create table sark.reratings (
  org text collate "C" not null,
  rerating_id text collate "C" not null,
  price_revision text collate "C" not null,
  selection jsonb not null,                      -- which charges: from, until, provider, model, account
  author text not null,
  reason text not null,
  charges bigint not null default 0,             -- booked so far
  difference_nanousd bigint not null default 0,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  constraint reratings_pkey primary key (org, rerating_id),
  constraint reratings_price_revision_fkey foreign key (price_revision) references sark.price_books (revision)
);

-- Begun and not finished: the same selection by the same prices goes on with it.
create unique index reratings_open on sark.reratings (org, price_revision, selection) where finished_at is null;

-- Both entries of a pair name the re-rating they belong to.
alter table sark.cost_tracking add column rerating_id text collate "C";

-- No domain: a column of a checked type would have every row of the table written again.
alter table sark.holds
  add column settled_nanousd bigint,             -- what its settlement booked, where re-ratings have changed it
  add column booked_least bigint;                -- the least it was ever booked at, where they have
