-- Organisations that move from one database to another.

-- One row an org: its latest move, as this database has part in it. At its source a move is `copying` while the org
-- goes on, `closing` and `closed` while nothing of it can be written, and `moved` for good. At its destination it is
-- `receiving`, and then `active`. Only while it is copying or active may anything of the org be written here.
create table sark.org_moves (
  org text collate "C" not null,
  move_id text not null,                         -- the same in both databases
  direction text not null,
  state text not null,
  peer text not null,                            -- the other database: host, port and name, never a password
  progress jsonb not null default '{}',          -- at the destination: what has been copied
  started_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,
  finished_at timestamptz,
  dropped_at timestamptz,                        -- when its rows were deleted at the source
  constraint org_moves_pkey primary key (org),
  constraint org_moves_direction_known check (direction in ('out', 'in')),
  constraint org_moves_state_known check (case direction
    when 'out' then state in ('copying', 'closing', 'closed', 'moved') else state in ('receiving', 'active') end)
);

-- Open holds of an org that is closed: when they would have expired. In sark.holds they then never do, so that the
-- sweep of overdue holds, which looks at all orgs, does not meet them.
create table sark.parked_holds (
  org text collate "C" not null,
  request_id text collate "C" not null,
  expires_at timestamptz not null,
  constraint parked_holds_pkey primary key (org, request_id)
);

-- What the trigger org_moved does, which sark.guard_org_table_v1 puts on tables while there are orgs to refuse: a
-- database without moves has none, and pays nothing. The one who moves says so by sark.moving_org.
create function sark.refuse_moved_org() returns trigger language plpgsql as $$
declare
  v_move sark.org_moves;
begin
  if current_setting('sark.moving_org', true) = new.org then
    return new;
  end if;
  select * into v_move from sark.org_moves where org = new.org;
  if v_move.state = 'moved' then
    raise exception 'the org % was moved to %', new.org, v_move.peer using errcode = 'SKM02', detail = new.org;
  end if;
  raise exception 'the org % is being moved', new.org using errcode = 'SKM01', detail = new.org;
end $$;

-- What was moved away may be deleted, by the owner of the table and sark.drop_org_rows_v1 alone: it lives elsewhere.
create or replace function sark.refuse_edit() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and tg_level = 'ROW' and exists (
    select from sark.org_moves m
    where m.org = to_jsonb(old) ->> 'org' and m.org = current_setting('sark.dropping_org', true)
      and m.state in ('moved', 'receiving')
  ) then
    return old;
  end if;
  raise exception 'sark.% is append-only: % is refused', tg_table_name, tg_op using errcode = 'restrict_violation';
end $$;
