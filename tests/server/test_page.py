"""The web app as it is served: its shell at every page's address, its files compressed and kept for ever."""

import gzip
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.server.app import Parts
from kilowatch.server.page import NOT_BUILT, takes
from kilowatch.stream.client import Client
from tests.server.conftest import PAGE, Member, open_house

CODE = b"export const answer = 42;\n"
CODE_GZ = gzip.compress(CODE, mtime=0)
CODE_BR = b"\x0b\x0c\x80" + CODE + b"\x03"
"""Brotli's way of saying that nothing was compressed."""


@pytest.fixture(autouse=True)
def built(tmp_path: Path) -> None:
    """What a build leaves behind, besides the shell."""
    (tmp_path / "assets").mkdir()
    for name, content in {
        "assets/index-a1.js": CODE,
        "assets/index-a1.js.gz": CODE_GZ,
        "assets/index-a1.js.br": CODE_BR,
        "sw.js": CODE,
        "icon.svg": b"<svg/>",
        "manifest.webmanifest": b"{}",
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path.parent / "secret.txt").write_text("secret")


READS_PAGES = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_every_page_can_be_asked_for_first(http: httpx.AsyncClient) -> None:
    for path in ("/", "/devices/meter-00042", "/history?range=7d", "/no-such-page"):
        answer = await http.get(path, headers=READS_PAGES)
        assert (answer.status_code, answer.text) == (200, PAGE), path
        assert answer.headers["cache-control"] == "no-cache"
        assert not {"etag", "last-modified"} & set(answer.headers)
    assert (await http.get("/")).text == PAGE
    head = await http.head("/devices", headers=READS_PAGES)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/index-b2.js",
        "/assets/page",
        "/assets",
        "/robots.txt",
        "/api",
        "/api/v1/no-such-thing",
        "/devices/a.b",
        "/..%2fsecret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/%00.js",
        f"/{'a' * 2_000}.js",
    ],
)
async def test_what_is_no_page_stays_a_refusal(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_programs_are_told_that_nothing_is_there(http: httpx.AsyncClient) -> None:
    for taken in ("application/json", "*/*"):
        answer = await http.get("/no-such-page", headers={"Accept": taken})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    posted = await http.post("/devices")
    assert (posted.status_code, posted.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("taken", "encoding", "sent"),
    [
        ("gzip, deflate, br, zstd", "br", CODE_BR),
        ("br;q=0, gzip;q=0.5", "gzip", CODE_GZ),
        ("identity", None, CODE),
    ],
)
async def test_code_is_sent_as_the_build_compressed_it(
    http: httpx.AsyncClient, taken: str, encoding: str | None, sent: bytes
) -> None:
    asked = http.build_request("GET", "/assets/index-a1.js", headers={"Accept-Encoding": taken})
    answer = await http.send(asked, stream=True)
    assert b"".join([part async for part in answer.aiter_raw()]) == sent
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"].lower().count("accept-encoding") == 1
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = await http.get(
        asked.url, headers={"Accept-Encoding": taken, "If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


async def test_what_tells_of_a_new_build_is_never_kept(http: httpx.AsyncClient) -> None:
    kinds = {
        "sw.js": ("text/javascript", "no-cache"),
        "manifest.webmanifest": ("application/manifest+json", "no-cache"),
        "icon.svg": ("image/svg+xml", "public, max-age=86400"),
    }
    for name, (kind, kept) in kinds.items():
        headers = (await http.get(f"/{name}")).headers
        assert (headers["content-type"].partition(";")[0], headers["cache-control"]) == (kind, kept)
        assert not {"etag", "last-modified"} & set(headers)


async def test_without_an_app_the_page_says_how_to_build_it(
    parts: Parts, stream: Client, tmp_path: Path
) -> None:
    parts.page = tmp_path / "web"
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        for path in ("/", "/devices"):
            answer = await http.get(path, headers=READS_PAGES)
            assert (answer.status_code, answer.text) == (200, NOT_BUILT)
            assert answer.headers["cache-control"] == "no-cache"
        assert (await http.get("/assets/index-a1.js")).status_code == 404
        parts.page.mkdir()
        (parts.page / "index.html").write_text(PAGE)
        assert (await http.get("/devices", headers=READS_PAGES)).text == PAGE


async def test_a_demo_signs_in_nobody_who_is_or_wants_to_be_somebody(
    parts: Parts, stream: Client, member: Member
) -> None:
    parts.demo_key = member.keys["read"]
    async with open_house(parts, stream) as house:
        for path, cookie, is_signed_in in (
            ("/devices/D1", "", True),
            ("/no-such-file.js", "", False),
            ("/sign-in", "", False),
            ("/sign-up", "", False),
            ("/devices", "kilowatch_person=1", False),
            ("/devices", "kilowatch_session=kw_own", False),
        ):
            async with httpx.AsyncClient(base_url=house.url) as http:
                page = await http.get(path, headers={"Cookie": cookie, **READS_PAGES})
                assert ("set-cookie" in page.headers) == is_signed_in, (path, cookie)


@given(st.sampled_from(["br", "gzip"]), st.lists(st.sampled_from(["deflate", "zstd;q=0.3", "x-br", "*"])))
def test_an_encoding_is_taken_where_it_is_named_and_not_refused(encoding: str, others: list[str]) -> None:
    assert not takes(", ".join(others), encoding)
    for weight, is_taken in (("", True), ("; q=0.001", True), (";q=0", False), ("; q=0.000", False)):
        assert takes(", ".join([*others, f" {encoding}{weight}"]), encoding) == is_taken
