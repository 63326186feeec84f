"""HTTP for the settings of detectors."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.audit import record_by
from kilowatch.alerts.detector import Detector as Holding
from kilowatch.alerts.detector import detectors_of
from kilowatch.alerts.store import detectors as store
from kilowatch.alerts.voices import Kind, Severity
from kilowatch.sites.store import get_site
from kilowatch.wire.address import API


class Detector(BaseModel):
    """How a detector is set, with what is set for the organisation and the defaults filled in."""

    model_config = ConfigDict(from_attributes=True)

    kind: Kind
    is_on: bool
    severity: Severity
    limits: dict[str, float]
    by_type: dict[str, float] = Field(description="Limits of single device types.")


class Detectors(BaseModel):
    """All detectors."""

    items: list[Detector]


class DetectorChanges(BaseModel):
    """What shall be set; null takes back what was set here. `limits` are replaced as a whole; their member
    `by_type` has limits of single device types."""

    model_config = ConfigDict(extra="forbid")

    is_on: bool | None = None
    severity: Severity | None = None
    limits: dict[str, Any] | None = None


def make_detector_routes(access: Access) -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix=API, tags=["alerts"])

    async def holding(caller: Caller, site_id: uuid.UUID | None) -> dict[Kind, Holding]:
        async with access.database.scope(caller.sight) as connection:
            if site_id is not None:
                await get_site(connection, site_id)
            return detectors_of(await store.list_settings(connection, caller.organisation_id), site_id)

    @routes.get("/detectors")
    async def list_detectors(
        caller: Annotated[Caller, Depends(access.may("detectors", "read"))],
        site_id: uuid.UUID | None = None,
    ) -> Detectors:
        """How every detector is set."""
        found = await holding(caller, site_id)
        return Detectors(items=[Detector.model_validate(one) for one in found.values()])

    @routes.patch("/detectors/{kind}")
    async def set_detector(
        kind: Annotated[str, Path(examples=["spike"])],
        changes: DetectorChanges,
        caller: Annotated[Caller, Depends(access.may("detectors", "change"))],
        site_id: uuid.UUID | None = None,
    ) -> Detector:
        """Sets a detector for the organisation or one of its sites; it holds within seconds."""
        given = {name: value for name, value in changes if name in changes.model_fields_set}
        async with access.database.scope(caller.sight) as connection:
            await store.set_detector(connection, caller.organisation_id, site_id, kind, given)
            await record_by(connection, caller, "detector.set", kind)
        await access.announce(caller.organisation_id, "detectors")
        found = await holding(caller, site_id)
        return next(Detector.model_validate(one) for one in found.values() if one.kind == kind)

    return routes
