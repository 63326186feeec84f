"""What letters to people say."""

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
