-- Quotas in tokens and in calls.

-- A meter counts one unit of an account: a row of sark.counters whose account is the account's name, U+001F, and
-- `tokens` or `calls`; limits, spent and held are then in that unit. Such a name is no account's, since those have no
-- control characters, and in the order of locks it comes right before the account it belongs to. Meters roll, are
-- locked and are kept in sark.period_history as any counter. One whose quota is taken away stays, without limits, for
-- the holds that count in it.
alter table sark.counters drop constraint counters_account_fkey;

alter table sark.accounts
  add column meters text[];                      -- those on the whole path, leaf to org; null: none

alter table sark.holds
  add column meters text[],                      -- those that the hold counts in; null: none
  add column meter_amounts sark.amount[],        -- set aside in each
  add column booked_tokens bigint;               -- tokens its charges count in them, once it has ended

-- sark.move_past_v2 has taken its place.
drop function if exists sark.move_past_v1(text[], text[], bigint[], boolean[]);
