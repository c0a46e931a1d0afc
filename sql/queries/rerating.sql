-- name: register_book
-- Keep what a revision of prices stands for.
insert into sark.price_books (revision, price_list, overlay) values (%(revision)s, %(price_list)s, %(overlay)s)
on conflict (revision) do nothing;

-- name: book
-- What a revision stands for.
select revision, price_list, overlay, registered_at from sark.price_books where revision = %(revision)s;

-- name: books
-- Every revision that was ever in use, the latest first.
select revision, price_list, overlay, registered_at from sark.price_books order by registered_at desc, revision;

-- name: orgs
-- Every org.
select org from sark.accounts where parent is null order by org;

-- name: kept_from
-- Since when charges are kept.
select nullif(charges_kept_from, '-infinity') from sark.storage;

-- name: present_charges
-- The present entry of each request charged in a span of time, with what it was estimated by, in order of time.
select t.request_id, t.time, t.entry, t.kind, t.path, t.resource_id, t.provider, t.model, t.usage, t.actual_nanousd,
  t.price_revision, case when h.org is not null then coalesce(h.attribution -> 'pricing', '{}') end
from (
  select distinct on (e.time, e.request_id) e.*
  from sark.cost_tracking e
  where e.org = %(org)s and e.time >= %(from_at)s and e.time < %(until_at)s
    and (%(provider)s::text is null or e.provider = %(provider)s)
    and (%(model)s::text is null or e.model = %(model)s)
    and (%(account)s::text is null or %(account)s = any (e.path))
  order by e.time, e.request_id, e.entry desc
) t
left join sark.holds h on h.org = %(org)s and h.request_id = t.request_id
order by t.time, t.request_id;

-- name: limited_windows
-- Running windows of an org's accounts with a limit: limit, and what is spent and held.
select c.account, w.period, w.starts_at, w.ends_at, w.limit_nanousd, w.used
from sark.counters c
cross join lateral (values
  ('day', c.day_starts_at, c.day_ends_at, c.day_limit, c.day_spent + c.day_held),
  ('month', c.month_starts_at, c.month_ends_at, c.month_limit, c.month_spent + c.month_held)
) w(period, starts_at, ends_at, limit_nanousd, used)
where c.org = %(org)s and w.limit_nanousd is not null and w.ends_at > clock_timestamp();

-- name: open_rerating
-- A re-rating that was begun and not finished.
select rerating_id, charges, difference_nanousd from sark.reratings
where org = %(org)s and price_revision = %(price_revision)s and selection = %(selection)s::jsonb
  and finished_at is null;

-- name: begin
-- Begin a re-rating, or go on with one.
select sark.rerate_begin_v1(%(org)s, %(rerating)s::jsonb, %(event)s::jsonb);

-- name: book_batch
-- Book the new prices of some charges.
select sark.rerate_batch_v1(%(org)s, %(rerating_id)s, %(price_revision)s, %(lines)s::jsonb);

-- name: finish
-- Finish a re-rating.
select sark.rerate_finish_v1(%(org)s, %(rerating_id)s, %(event)s::jsonb);

-- name: reratings
-- Re-ratings of an org, or of all, the latest first.
select org, rerating_id, price_revision, selection, author, reason, charges, difference_nanousd, started_at, finished_at
from sark.reratings where %(org)s::text is null or org = %(org)s
order by started_at desc, org limit %(limit)s;
