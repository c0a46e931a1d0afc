-- Native partitions of a week each. What lies in none of them falls into the default one, and nothing is refused.
insert into sark.storage (tier) values ('plain');

alter table sark.cost_tracking rename to cost_tracking_before;
alter index sark.cost_tracking_once rename to cost_tracking_before_once;
alter index sark.cost_tracking_principal rename to cost_tracking_before_principal;
alter index sark.cost_tracking_xid rename to cost_tracking_before_xid;

create table sark.cost_tracking (like sark.cost_tracking_before including defaults including constraints)
  partition by range (time);
create unique index cost_tracking_once on sark.cost_tracking (org, request_id, entry, time);
create index cost_tracking_principal on sark.cost_tracking (org, principal_id, time desc);
create index cost_tracking_xid on sark.cost_tracking using brin (xid) with (pages_per_range = 32, autosummarize = on);
create table sark.cost_tracking_default partition of sark.cost_tracking default;

insert into sark.cost_tracking select * from sark.cost_tracking_before;
drop table sark.cost_tracking_before;

-- A partition gets the row trigger from its table, the other one from whoever makes it.
create trigger cost_tracking_append_only before update or delete on sark.cost_tracking
  for each row execute function sark.refuse_edit();
create trigger cost_tracking_no_truncate before truncate on sark.cost_tracking
  for each statement execute function sark.refuse_edit();
create trigger cost_tracking_no_truncate before truncate on sark.cost_tracking_default
  for each statement execute function sark.refuse_edit();
