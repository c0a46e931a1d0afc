-- name: sizes
-- Every org there is anything of, with about how many charges it has.
select o.org, coalesce(sum(d.charges), 0)::bigint
from (
  select org from sark.accounts where account = org
  union select org from sark.cost_tracking
  union select org from sark.holds
  union select org from sark.daily_costs
) o
left join sark.daily_costs d on d.org = o.org and d.dimension = 'org'
group by o.org
order by 2 desc, 1;
