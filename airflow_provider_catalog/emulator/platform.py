"""The platform's state: what the services share."""

from __future__ import annotations

from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from . import seeds
from .batches import Json
from .books import BatchBook, Documents
from .clock import Clock, milliseconds
from .faults import Effect, Faults
from .holds import Holds
from .journal import Journal
from .promotion_desk import PromotionDesk
from .settings import SANDBOXES, Settings
from .store import Store
from .tokens import Tokens

_CREATOR = "emulator@AdobeID"


class Platform:
    """One running platform: its settings, clock, and everything that clients put into it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.store = Store(folder)
        self._initial = settings
        self._start()

    def _start(self) -> None:
        self.settings = self._initial
        self.clock = Clock(offset=dict(self.store.load("clock")).get("offset", 0.0))
        self.tokens = Tokens(self.clock)
        self.faults = Faults()
        self.holds = Holds()
        self.journal = Journal(self.clock)
        self.datasets = Documents(self.store, "dataset")
        self.schemas = Documents(self.store, "schema")
        self.batches = BatchBook(self.store, self.clock)
        self._catch_up()
        self.promotions = PromotionDesk(self)
        self.store.sweep(self.batches.stored_names())
        self._sow()
        self.promotions.resume()

    def reset(self) -> None:
        """Forget everything that happened, as if just started with an empty folder; hang up on what is held."""
        self.holds.release_all(Effect(drop="before"))
        self.promotions.stop()
        self.store.clear()
        self._start()

    def keep_clock(self) -> None:
        """Remember how far ahead the clock is, so that a restart does not go back in time."""
        self.store.save("clock", "offset", self.clock.offset)

    def close(self) -> None:
        """Remember the time, and close the store."""
        self.keep_clock()
        self.store.close()

    @property
    def visible_at(self) -> float:
        """The moment that the Catalog shows: a little behind the present."""
        return self.clock.now() - self.settings.catalog_lag

    def ownership(self, sandbox: str) -> Json:
        """Return the fields that tell whose an object is and who wrote it."""
        return {
            "imsOrg": self.settings.org,
            "sandboxId": sandbox_id(sandbox),
            "createdClient": self.settings.client_id,
            "createdUser": _CREATOR,
            "updatedUser": _CREATOR,
        }

    def new_dataset(self, sandbox: str, dataset_id: str, body: Json, created_at: float) -> None:
        """Add a dataset with the fields that the Catalog gives to every one."""
        moment = milliseconds(created_at)
        generated = {
            "version": "1.0.0",
            "created": moment,
            "updated": moment,
            "viewId": uuid5(NAMESPACE_URL, dataset_id).hex[:24],
            "files": f"@/dataSetFiles?dataSetId={dataset_id}",
        }
        self.datasets.put(sandbox, dataset_id, {**body, **self.ownership(sandbox), **generated})

    def schema_of(self, sandbox: str, dataset_id: str) -> Json:
        """Return the schema of a dataset; an empty one if it has none."""
        dataset = self.datasets.get(sandbox, dataset_id) or {}
        return self.schemas.get(sandbox, dataset.get("schemaRef", {}).get("id", "")) or {}

    def _catch_up(self) -> None:
        """Go on no earlier than what was done last: a process that was killed has not kept the time of a fast clock."""
        created = (each["created"] / 1000 for name in SANDBOXES for each in self.datasets.all(name).values())
        newest = max(self.batches.last_saved_at, *created, 0.0)
        self.clock.advance(max(0.0, newest - self.clock.now()))

    def _sow(self) -> None:
        """Put the seeds into sandboxes that lack them, old enough not to be hidden by the Catalog's lag."""
        before = self.clock.now() - max(86_400.0, self.settings.catalog_lag)
        for sandbox in SANDBOXES:
            for schema in seeds.SCHEMAS:
                if not self.schemas.get(sandbox, schema["$id"]):
                    self.schemas.put(sandbox, schema["$id"], schema)
            for dataset_id, body in seeds.DATASETS.items():
                if not self.datasets.get(sandbox, dataset_id):
                    self.new_dataset(sandbox, dataset_id, body, before)


def sandbox_id(sandbox: str) -> str:
    """Return the id of a sandbox, which clients never send."""
    return str(uuid5(NAMESPACE_URL, f"emulator/{sandbox}"))
