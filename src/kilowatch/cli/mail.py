"""`kw mail`: the letters that people would have got, on an instance without a mail server."""

import json

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from kilowatch.accounts.mail import mail_folder, read_letters
from kilowatch.errors import StartRefused
from kilowatch.settings import Settings


def show_mail(settings: Settings, *, all_letters: bool, as_json: bool) -> None:
    """Prints the last letter, or every one, oldest first.

    Raises:
        StartRefused: if there is none.
    """
    letters = [
        {
            "to": str(letter["To"]),
            "subject": str(letter["Subject"]),
            "text": str(letter.get_content()),
        }
        for letter in read_letters(mail_folder(settings))
    ]
    if not letters:
        raise StartRefused(f"There is no mail in {mail_folder(settings)}.")
    shown = letters if all_letters else letters[-1:]
    console = Console()
    if as_json:
        console.file.write(json.dumps(shown, indent=2) + "\n")
        return
    for letter in shown:
        title = Text(f"{letter['subject']} (to {letter['to']})")
        console.print(Panel(Text(letter["text"].strip()), title=title, title_align="left"))
