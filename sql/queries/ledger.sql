-- name: hold_batch
-- Hold money for a batch of requests.
select sark.hold_batch_v2($1::jsonb, $2, $3);

-- name: settle_batch
-- End a batch of holds with what was billed.
select sark.settle_batch_v2($1::jsonb, $2);

-- name: release_batch
-- End a batch of holds unused.
select sark.release_batch_v1($1::jsonb, $2);

-- name: extend
-- Let a hold live longer.
select sark.extend_v1(%(org)s, %(request_id)s, %(ttl_s)s::integer, %(now)s);

-- name: find_hold
-- The hold of a request.
select sark.find_hold_v1(%(org)s, %(request_id)s);

-- name: charge
-- Book a cost that never had a hold.
select sark.charge_v1(%(request)s::jsonb, %(settlement)s::jsonb, %(create_orgs)s, %(now)s);

-- name: expire
-- End holds that are past their time.
select sark.expire_v1(%(rows_max)s::integer, %(now)s);

-- name: status
-- Where a principal and every ancestor stand.
select sark.status_v1(%(org)s, %(principal_id)s, %(team)s, %(create_orgs)s, %(now)s);

-- name: account_status
-- Where an account and every ancestor stand.
select sark.account_status_v1(%(org)s, %(account)s, %(now)s);

-- name: put_account
-- Create or replace an account's settings.
select sark.put_account_v1(%(org)s, %(settings)s::jsonb, %(now)s);

-- name: put_account_audited
-- Create or replace an account's settings, and write the event that tells of it.
select sark.put_account_audited_v1(%(org)s, %(settings)s::jsonb, %(event)s::jsonb, %(now)s);

-- name: get_account
-- An account's settings.
select sark.account_json_v1(%(org)s, %(account)s);
