"""The client for gateways written in Python: decide, then settle or release.

```python
from sark_opa.client import SarkClient

sark = SarkClient("http://127.0.0.1:8181", service_url="http://127.0.0.1:8088", token=settle_token)
decision = sark.decide(question)
if not decision.allow:
    refuse(decision.reasons)
response = call_the_provider()
sark.settle(decision, usage=response["usage"])
```

`AsyncSarkClient` has the same methods, awaited. Both fail closed: whatever is not a well-formed allow is a denial.
"""

from sark_opa.client.aio import AsyncSarkClient
from sark_opa.client.decision import Decision, Hold, Reason
from sark_opa.client.sync import SarkClient
from sark_opa.client.wire import RefusedError, Settlement, UnreachableError

__all__ = [
    "AsyncSarkClient",
    "Decision",
    "Hold",
    "Reason",
    "RefusedError",
    "SarkClient",
    "Settlement",
    "UnreachableError",
]
