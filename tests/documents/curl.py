"""Sends what a documented `curl` command sends, on machines without curl.

Understands the options that the documents use and refuses any other. Ends as `curl --fail` does: with 22 when
the answer's status is 400 or more.
"""

import argparse
import sys

import httpx

WITHIN_S = 30.0


def main() -> int:
    """One request; the exit code."""
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", "--data-binary", "--data-raw")
    parser.add_argument("-u", "--user")
    for ignored in ("--fail", "--silent", "--show-error"):
        parser.add_argument(ignored, action="store_true")
    given = parser.parse_args()
    headers = dict(one.split(": ", 1) for one in given.header)
    if given.data is not None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | headers
    user, _, password = (given.user or "").partition(":")
    answer = httpx.request(
        given.request or ("GET" if given.data is None else "POST"),
        given.url,
        headers=headers,
        content=None if given.data is None else given.data.encode(),
        auth=(user, password) if given.user else None,
        timeout=WITHIN_S,
        trust_env=False,
    )
    sys.stdout.write(answer.text)
    return 22 if answer.status_code >= 400 else 0


if __name__ == "__main__":
    sys.exit(main())
