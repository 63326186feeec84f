"""HTTP for the second factor of one's own account."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.people import People
from kilowatch.accounts.routes.people import Counting, Person, Secret, Strict, person_of
from kilowatch.wire.address import API

SecondCode = Annotated[str, Field(max_length=40, description="Of the app, or a recovery code.")]


class PasswordShown(Strict):
    """The password once more."""

    password: Secret


class CodeOfApp(Strict):
    """A code of the authenticator app."""

    code: str = Field(max_length=20)


class SecondFactorShown(PasswordShown):
    """The password and a code."""

    code: SecondCode


class SecondFactorOffered(BaseModel):
    """What the authenticator app needs. Nothing is asked for until a code of it was shown."""

    secret: str = Field(description="In Base32, to be typed.")
    uri: str = Field(description="The same as an `otpauth:` address, to be drawn as a QR code.")


class RecoveryCodes(BaseModel):
    """Codes for when the app is lost, each good once; shown this once."""

    recovery_codes: list[str]


def make_second_factor_routes(access: Access, people: People, count: Counting) -> APIRouter:
    """The routes of the second factor; each request is counted first."""
    routes = APIRouter(prefix=API, tags=["accounts"], dependencies=[Depends(count)])
    person_of_session = person_of(access)

    @routes.post("/auth/second-factor", status_code=201)
    async def offer_second_factor(
        shown: PasswordShown, person: Annotated[Person, Depends(person_of_session)]
    ) -> SecondFactorOffered:
        """Makes a secret for an authenticator app, in place of one that was not confirmed."""
        offered = await people.offer_second_factor(person.user_id, shown.password)
        return SecondFactorOffered(secret=offered.secret, uri=offered.uri)

    @routes.post("/auth/second-factor/confirm")
    async def confirm_second_factor(
        shown: CodeOfApp, person: Annotated[Person, Depends(person_of_session)]
    ) -> RecoveryCodes:
        """Switches the second factor on: from now on signing in asks for a code."""
        codes = await people.confirm_second_factor(person.user_id, shown.code)
        return RecoveryCodes(recovery_codes=codes)

    @routes.delete("/auth/second-factor", status_code=204)
    async def remove_second_factor(
        shown: SecondFactorShown, person: Annotated[Person, Depends(person_of_session)]
    ) -> None:
        """Switches the second factor off."""
        await people.remove_second_factor(person.user_id, shown.password, shown.code)

    return routes
