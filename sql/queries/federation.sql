-- name: join
-- Write down who we are; answers the member this org is, and what makes its aliases.
with joined as (
  insert into sark.federation_members (org, member, alias_key) values (%(org)s, %(member)s, %(alias_key)s)
  on conflict (org) do nothing returning member, alias_key
)
select member, alias_key from joined
union all
select member, alias_key from sark.federation_members where org = %(org)s
limit 1;

-- name: open
-- Write down that a call across organisations is about to be made.
select sark.federation_open_v1(%(transfer)s::jsonb);

-- name: move
-- Move a transfer on.
select sark.federation_move_v1(%(org)s, %(direction)s, %(transfer_id)s, %(states)s, %(change)s::jsonb);

-- name: claim
-- Transfers about which something is to be done.
select sark.federation_claim_v1(%(org)s, %(rows_max)s::integer, %(again_s)s::integer, %(now)s::timestamptz);

-- name: find
-- A transfer, from either side.
select sark.federation_transfer_json_v1(t) from sark.federation_transfers t
where t.org = %(org)s and t.direction = %(direction)s and t.transfer_id = %(transfer_id)s;

-- name: ended
-- Transfers whose acceptance hold has ended otherwise than their home knows, of the last week.
select coalesce(json_agg(json_build_array(sark.federation_transfer_json_v1(e.t), e.state)), '[]')
from (
  select t, h.state from sark.federation_transfers t
  join sark.holds h on h.org = t.org and h.request_id = t.request_id
  where t.org = %(org)s and t.direction = 'provided' and t.expires_at > %(now)s::timestamptz - interval '7 days'
    and t.state in ('proposed', 'accepted', 'lapsed', 'cancelled')
    and case when t.state in ('proposed', 'accepted') then h.state <> 'held' else h.state = 'settled' end
  limit %(rows_max)s
) e;

-- name: booked
-- What a request is charged by now.
select sark.federation_booked_v1(%(org)s, %(request_id)s);

-- name: figures
-- What settled transfers of some days cost by our own ledger, by peer, day, direction and alias.
select peer, period, direction, alias, principal_id, charges, amount_nanousd, input_tokens, output_tokens,
  cache_read_tokens, cache_write_tokens
from sark.federation_figures_v1(%(org)s, %(peer)s, %(from_day)s, %(to_day)s)
order by peer, period, direction, alias;

-- name: stated
-- What the statements of issuers say of some days, by issuer, day, direction and alias; the last revision of each day.
select e.issuer, e.period, e.direction, e.alias, null, e.charges, e.amount_nanousd, e.input_tokens, e.output_tokens,
  e.cache_read_tokens, e.cache_write_tokens
from sark.federation_periods p
join sark.federation_entries e using (org, issuer, audience, period, revision)
where p.org = %(org)s and p.issuer = any (%(issuers)s) and p.audience = any (%(audiences)s)
  and p.period >= %(from_day)s and p.period < %(to_day)s
order by e.issuer, e.period, e.direction, e.alias;

-- name: ledger_total
-- What an org, or one principal of it, was charged on some days of the org's time zone, to this moment.
with parts as (
  select d.charges, d.actual_nanousd from sark.daily_costs d
  where d.org = %(org)s and d.dimension = case when %(principal)s::text is null then 'org' else 'principal' end
    and d.key = coalesce(%(principal)s, '') and d.day >= %(from_day)s and d.day < %(to_day)s
  union all
  select case c.kind when 'reversal' then -1 else 1 end, c.actual_nanousd
  from sark.cost_tracking c
  -- The mark is looked up beforehand, since a join would unpack every compressed chunk.
  where c.xid >= (select xid from sark.fold_mark) and c.recorded_at >= (select recorded_from from sark.fold_mark)
    and c.org = %(org)s and (%(principal)s::text is null or c.principal_id = %(principal)s)
    and c.budget_day >= %(from_day)s and c.budget_day < %(to_day)s
)
select coalesce(sum(charges), 0)::bigint, coalesce(sum(actual_nanousd), 0)::bigint from parts;

-- name: transfers_in_ledger
-- What of such a total were transfers: by direction, counted by the same days, wherever their own day lies.
select t.direction, coalesce(sum(c.actual_nanousd), 0)::bigint
from sark.federation_transfers t
join sark.cost_tracking c on c.org = t.org and c.request_id = t.booked_request_id and c.time = t.charged_at
where t.org = %(org)s and t.state = 'settled' and c.budget_day >= %(from_day)s and c.budget_day < %(to_day)s
  and t.charged_at >= %(from_day)s::date - 2 and t.charged_at < %(to_day)s::date + 2
  and c.time >= %(from_day)s::date - 2 and c.time < %(to_day)s::date + 2
  and (%(principal)s::text is null or t.principal_id = %(principal)s)
group by t.direction;

-- name: chain
-- Where a chain stands: the last statement taken, its digest, the last one there is said to be, charges looked at.
select c.sequence, c.digest, c.seen, c.looked_at_xid from sark.federation_chains c
where c.org = %(org)s and c.issuer = %(issuer)s and c.audience = %(audience)s;

-- name: touched
-- Which days have changed since charges were last looked at.
select sark.federation_touched_v1(%(org)s, %(peer)s, %(since)s::bigint);

-- name: looked
-- Remember up to where charges were looked at, and what the summaries said.
with totals as (
  insert into sark.federation_totals as t (org, peer, day, charges, actual_nanousd)
  select %(org)s, %(audience)s, (v ->> 0)::date, (v ->> 1)::bigint, (v ->> 2)::bigint
  from jsonb_array_elements(%(totals)s::jsonb) v
  on conflict (org, peer, day) do update set charges = excluded.charges, actual_nanousd = excluded.actual_nanousd
)
insert into sark.federation_chains as c (org, issuer, audience, looked_at_xid)
values (%(org)s, %(issuer)s, %(audience)s, %(xid)s)
on conflict (org, issuer, audience) do update set looked_at_xid = excluded.looked_at_xid;

-- name: pulled
-- Remember that a peer was asked for its statements, the last one it has, and what went wrong.
insert into sark.federation_chains as c (org, issuer, audience, seen, pulled_at, problem, problem_at)
values (%(org)s, %(issuer)s, %(audience)s, %(seen)s, %(pulled_at)s, %(problem)s,
  case when %(problem)s::text is not null then %(now)s::timestamptz end)
on conflict (org, issuer, audience) do update set
  seen = greatest(c.seen, excluded.seen), pulled_at = coalesce(excluded.pulled_at, c.pulled_at),
  problem = case when excluded.problem is null and excluded.pulled_at is null then c.problem else excluded.problem end,
  problem_at = case when excluded.problem is null and excluded.pulled_at is null then c.problem_at
    else excluded.problem_at end;

-- name: append
-- Take a statement into its chain.
select sark.federation_append_v1(%(org)s, %(statement)s::jsonb, %(envelope)s, %(own)s);

-- name: page
-- Statements of a chain after one, in order.
select s.envelope from sark.federation_statements s
where s.org = %(org)s and s.issuer = %(issuer)s and s.audience = %(audience)s and s.sequence > %(after)s
order by s.sequence limit %(limit)s;

-- name: revision
-- The last revision of a day in a chain, 0 for none.
select coalesce((
  select p.revision from sark.federation_periods p
  where p.org = %(org)s and p.issuer = %(issuer)s and p.audience = %(audience)s and p.period = %(period)s
), 0);

-- name: status
-- Each peer: both chains, what waits, what is refused, what is open.
select p.peer, coalesce(theirs.sequence, 0), coalesce(theirs.seen, 0), theirs.pulled_at, theirs.problem,
  theirs.problem_at, coalesce(ours.sequence, 0),
  (select count(*) from sark.federation_waiting w where w.org = %(org)s and w.issuer = p.peer),
  (select count(*) from sark.federation_evidence e where e.org = %(org)s and e.issuer = p.peer),
  (select count(*) from sark.federation_transfers t where t.org = %(org)s and t.peer = p.peer and t.due_at is not null),
  (select count(*) from sark.federation_transfers t where t.org = %(org)s and t.peer = p.peer and t.disputed)
from unnest(%(peers)s::text[]) p(peer)
left join sark.federation_chains theirs
  on theirs.org = %(org)s and theirs.issuer = p.peer and theirs.audience = %(member)s
left join sark.federation_chains ours
  on ours.org = %(org)s and ours.issuer = %(member)s and ours.audience = p.peer
order by p.peer;
