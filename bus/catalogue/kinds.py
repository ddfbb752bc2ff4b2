"""The table of resource kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.catalogue.codelist import CodeList
from bus.catalogue.dataset import Dataset
from bus.catalogue.department import Department
from bus.catalogue.entity import Entity
from bus.catalogue.mapping import Mapping
from bus.catalogue.subscriber import Subscriber
from bus.catalogue.subscription import Subscription
from bus.catalogue.view import View

if TYPE_CHECKING:
    from bus.catalogue.model import Resource

KINDS: dict[str, type[Resource]] = {
    "Department": Department,
    "Dataset": Dataset,
    "Entity": Entity,
    "CodeList": CodeList,
    "Mapping": Mapping,
    "View": View,
    "Subscriber": Subscriber,
    "Subscription": Subscription,
}
