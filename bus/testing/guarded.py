"""A small bus on a broker with logins: two departments that publish, two subscribers with a view in common.

For tests of who may do what. The workspace is `bus init`'s with a second of everything; records are written by the
superuser straight to the views, as plain text, so that no worker is needed.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final, Self

from bus.catalogue.apply import apply_workspace, read_state
from bus.catalogue.workspace import Workspace, starter_workspace
from bus.config import Settings
from bus.credentials import SUPERUSER, Credentials, as_principal
from bus.own_broker import OwnBroker
from bus.testing.registry_thread import RegistryThread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from bus.catalogue.cluster_state import ClusterState
    from bus.catalogue.plan import Plan

SHARED_VIEW: Final = "view.portal-company.v1"
TAX_VIEW: Final = "view.tax-company.v1"

MORE: Final = """
kind: Dataset
metadata: {name: zwfw.visits}
spec:
  department: zwfw
  source: {adapter: postgres, config: zwfw-front, name: public.visits}
  key: [id]
  share: {type: unconditional}
  update: {within: 5m}
---
kind: View
metadata: {name: tax-company}
spec:
  entity: enterprise.company
  revision: 1
  fields: [credit_code, founded]
---
kind: Subscriber
metadata: {name: tax}
spec: {department: scjg}
"""

SUBSCRIPTION: Final = """
---
kind: Subscription
metadata: {{name: {subscriber}-{view}}}
spec:
  subscriber: {subscriber}
  view: {view}
  revision: 1
  purpose: test
  legal_basis: none needed, the data are synthetic
  valid_until: {until}
"""


def starter_with_more(folder: Path) -> Path:
    """The workspace, in a new folder."""
    shutil.copytree(starter_workspace(), folder)
    _subscribe(folder, {"tax": "portal-company, tax-company"})
    return folder


def _subscribe(folder: Path, wanted: Mapping[str, str]) -> None:
    text = MORE
    for subscriber, views in wanted.items():
        for each in filter(None, views.split(", ")):
            view, _, until = each.partition(" until ")
            text += SUBSCRIPTION.format(subscriber=subscriber, view=view, until=until or "2099-12-31")
    (folder / "more.yaml").write_text(text, encoding="utf-8")


class Guarded:
    """The bus; `with Guarded(folder) as bus`.

    Attributes:
        settings: the superuser's.
        folder: of the workspace.
        passwords: every password that the bus has made so far.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "workspace"
        self.data_dir = folder / "data"
        self._broker = OwnBroker(Settings(data_dir=self.data_dir), 0)
        self.credentials = Credentials(self.data_dir)
        starter_with_more(self.folder)

    def __enter__(self) -> Self:
        """Start broker and registry."""
        settings = self._broker.start()
        try:
            self._registry = RegistryThread(settings.kafka).__enter__()
        except BaseException:
            self._broker.kafka.stop()
            raise
        self.settings = settings.model_copy(update={"registry_url": self._registry.url})
        self.credentials.move(self.settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop them."""
        self._registry.__exit__(None, None, None)
        self._broker.kafka.stop()

    def subscribe(self, **subscribers: str) -> None:
        """Let `tax` have its own view and the portal's; or what is given: `tax="tax-company until 2020-01-01"`.

        The portal always has its own. Nothing is applied yet.
        """
        _subscribe(self.folder, {"tax": "portal-company, tax-company"} | subscribers)

    async def apply(self) -> Plan:
        """Apply the workspace; what was done."""
        return await apply_workspace(self.folder, self.settings)

    async def state(self) -> ClusterState:
        """What the cluster has now."""
        return await read_state(self.settings, Workspace.load(self.folder))

    def as_(self, principal: str) -> Settings:
        """The settings of a principal, by the login that was made for it."""
        if principal == SUPERUSER:
            return self.settings
        settings = as_principal(self.settings, principal)
        assert settings.kafka.username == principal, f"there is no login for {principal}"
        return settings

    @property
    def passwords(self) -> list[str]:
        """Of every login in the data folder."""
        return [(self.credentials.read(name) or {})["KAFKA_PASSWORD"] for name in self.credentials.names()]
