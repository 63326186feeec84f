"""What letters to people say."""

import uuid
from dataclasses import dataclass

from kilowatch.accounts.store.users import Purpose


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to a user; purpose, code: of the code in it, if there is one."""

    user_id: uuid.UUID
    to: str
    subject: str
    text: str
    purpose: Purpose | None = None
    code: str = ""


def write_code(words: str, purpose: Purpose, code: str, *, user_id: uuid.UUID, to: str, name: str) -> Letter:
    """A letter with a code."""
    return Letter(user_id, to, f"Your code: {code}", words.format(name=name, code=code), purpose, code)


def write_notice(user_id: uuid.UUID, to: str, name: str) -> Letter:
    """A letter to whoever has an account already."""
    return Letter(user_id, to, "You have an account", ALREADY.format(name=name))


VERIFY = """Hello {name},

your code is {code}. It is good for 15 minutes.

If you did not sign up to Kilowatch, there is nothing to do.
"""
CONTESTED = """Hello {name},

your code is {code}. It is good for 15 minutes.

Somebody signed up with this address twice, with different passwords, so neither counts. Enter the code, then
choose a password with "forgot password".

If you did not sign up to Kilowatch, there is nothing to do.
"""
RESET = """Hello {name},

to set a new password, enter the code {code}. It is good for 15 minutes.

If you did not ask for it, there is nothing to do; your password stays.
"""
ALREADY = """Hello {name},

somebody, perhaps you, signed up with this address. It has an account already: sign in, or ask for a new
password if you have forgotten yours.
"""
