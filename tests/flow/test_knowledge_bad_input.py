"""What cannot be read is refused or visibly failed, whatever it is, and the server goes on."""

import io
from pathlib import Path

import pytest
from pypdf import PdfWriter

from tests.asking import ask
from tests.knowing import RETURNS, add, ended, pieces, search, stats, upload
from tests.running import Served, served, settings_for
from tests.services import DemoServices


def pdf(*, password: str = "", pages: int = 1) -> bytes:
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(100, 100)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


UNREADABLE = {
    "blank.pdf": (pdf(), "no text"),
    "locked.pdf": (pdf(password="x"), "encrypted"),
    "broken.pdf": (b"%PDF-1.7\n1 0 obj <</Type /Catalog", "broken"),
    "cut.pdf": (pdf(pages=3)[:300], "broken"),
    "no.pdf": (b"plain words", "called a PDF"),
    "office.docx": (b"PK\x03\x04" + bytes(200), "office"),
    "image.png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "not text"),
    "noise.bin": (bytes(range(256)) * 100, "not text"),
    "spaces.txt": (b"\xef\xbb\xbf   \n", "no text"),
    "empty.txt": (b"", "no text"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_has_no_text_fails_with_the_reason(server: Served, name: str) -> None:
    content, reason = UNREADABLE[name]
    job = await upload(server.client, name, content)
    assert job["state"] == "failed"
    assert reason in job["error"]
    assert (await server.client.get(f"/rag/documents/{job['document_id']}")).json()["state"] == "failed"
    assert (await stats(server.client))["documents"] == 0


async def test_a_pdf_with_words_is_found(server: Served) -> None:
    job = await upload(server.client, "deposit.pdf", text_pdf("We block 400 euros when the keys are handed over."))
    assert job["state"] == "done"
    assert "400 euros" in (await search(server.client, "how much money is reserved?", min_score=0))[0]["text"]


async def test_a_pdf_that_its_parser_stumbles_over_is_called_broken(server: Served) -> None:
    job = await upload(server.client, "odd.pdf", text_pdf("a) Tj 1 0 R (b"))
    assert (job["state"], job["error"][:18]) == ("failed", "The PDF is broken,")


def text_pdf(text: str) -> bytes:
    """Return a PDF with one line, written by hand: six objects and no compression."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj%sendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    return (
        body + head + table + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(body))
    )


PLAIN = [
    ("# Magic numbers\n\nA PDF file begins with %PDF-1.7 and goods.", ""),
    ("%PDF-1.7 is what goods begin with.", "manual.pdf"),
    ("Goods are described in the manual.", "manual.pdf"),
    ("In C++ use vector<int> and map<string> for goods.", "guide.html"),
    ("<html> is what goods begin with.", ""),
]


@pytest.mark.parametrize(("text", "source"), PLAIN)
async def test_a_text_is_taken_as_it_is_whatever_it_speaks_of(server: Served, text: str, source: str) -> None:
    job = await add(server.client, text, source=source)
    assert (job["state"], job["error"]) == ("done", "")
    assert list((await pieces(server.client, job["document_id"])).values()) == [text]


async def test_a_text_file_may_speak_of_other_kinds(server: Served) -> None:
    for name, text in (("a.txt", "%PDF-1.7 is a mark."), ("b.md", "It has %PDF-1.7."), ("c.txt", "<html> is a tag.")):
        job = await upload(server.client, name, text.encode())
        assert list((await pieces(server.client, job["document_id"])).values()) == [text]


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"]


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_text_is_read_in_the_encoding_it_has(server: Served, encoding: str) -> None:
    text = "Die Rückgabe ist für dreißig Tage möglich, wenn die Ware unbenutzt ist und in der Schachtel liegt. " * 5
    await upload(server.client, "rueckgabe.txt", text.encode(encoding))
    assert "für dreißig Tage" in (await search(server.client, "Rückgabe", min_score=0))[0]["text"]


TOLD = [
    ("a.txt", "text/plain; charset=koi8-r", "koi8-r", "Товар можно вернуть."),
    ("a.txt", 'text/plain; charset="UTF-16LE"', "utf-16-le", "Goods may be sent back."),
    ("a.html", "text/html; charset=koi8-r", "koi8-r", "<p>Товар можно вернуть.</p>"),
    ("a.html", "text/html; charset=nonsense", "utf-8", "<p>Товар можно вернуть.</p>"),
    ("a.txt", "text/plain; charset=iso-8859-1", "utf-8", "Товар можно вернуть."),
    ("a.txt", "text/plain; charset=iso-8859-1", "iso-8859-1", "Rückgabe möglich."),
    ("a.txt", "text/plain", "cp1252", "Rückgabe für 30 €."),
    ("a.txt", "text/plain", "cp1252", "Le café est « fermé »."),
]


@pytest.mark.parametrize(("name", "content_type", "encoding", "text"), TOLD)
async def test_an_encoding_that_is_told_is_used(
    server: Served, name: str, content_type: str, encoding: str, text: str
) -> None:
    files = {"file": (name, text.encode(encoding), content_type)}
    job = (await server.client.post("/rag/documents", files=files)).json()
    await ended(server.client, job["job_id"])
    told = await pieces(server.client, job["document_id"])
    assert list(told.values()) == [text.removeprefix("<p>").removesuffix("</p>")]


async def test_of_a_page_only_what_people_see_is_kept(server: Served) -> None:
    page = (
        b"<!doctype html><title>Help</title><style>b{color:red}</style><script>alert('stolen goods')</script>"
        b"<nav>Home</nav><h1>Returns</h1><p>Goods may be sent back.</p><!-- a comment --><p hidden>secret goods</p>"
        b"<img src=x onerror=alert(1)>"
    )
    job = await upload(server.client, "help.html", page)
    (hit,) = await search(server.client, "goods", min_score=0)
    assert hit["text"] == "# Returns\n\nGoods may be sent back."
    assert (await server.client.get(f"/rag/documents/{job['document_id']}")).json()["title"] == "Help"


async def test_cells_of_a_table_are_words_apart(server: Served) -> None:
    page = b"<table><tr><th>Item</th><th>Fee</th></tr><tr><td>Goods</td><td>12</td></tr></table>"
    job = await upload(server.client, "fees.html", page)
    assert list((await pieces(server.client, job["document_id"])).values()) == ["Item Fee\n\nGoods 12"]


async def test_a_page_nested_a_hundred_thousand_deep_harms_nobody(server: Served) -> None:
    job = await upload(server.client, "deep.html", b"<html>" + b"<div>" * 100_000 + b"words")
    assert job["state"] in ("done", "failed")
    assert (await add(server.client, RETURNS))["state"] == "done"


async def test_what_is_too_large_empty_or_no_form_is_refused(server: Served) -> None:
    client = server.client
    large = await client.post("/rag/documents", files={"file": ("x.txt", b"x" * 10_200_000)})
    refused = [
        await client.post("/rag/documents", json={"text": " "}),
        await client.post("/rag/documents", json={}),
        await client.post("/rag/documents", json={"text": "x", "url": "http://x"}),
        await client.post("/rag/documents", json={"text": "x", "metadata": {"category": {"a": 1}}}),
        await client.post("/rag/documents", json={"text": "x", "document_id": "../x"}),
        await client.post("/rag/documents", data={"title": "no file"}, files={"other": ("x", b"x")}),
        await client.post("/rag/documents", files={"file": ("x.txt", b"x")}, data={"metadata": "["}),
        await client.post(
            "/rag/documents", content=b"--x", headers={"Content-Type": "multipart/form-data; boundary=y"}
        ),
        await client.post("/rag/search", json={"query": "x" * 1_000_000}),
        await client.post("/rag/search", json={"query": " "}),
        await client.post("/rag/search", json={"query": "x", "top_k": 10_000}),
    ]
    assert large.status_code == 413
    assert {answer.status_code for answer in refused} <= {400, 413, 422}
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in [large, *refused])


@pytest.mark.parametrize(("said", "status"), [("true", 202), ("True", 202), ("FALSE", 202), ("maybe", 422), ("1", 422)])
async def test_a_form_says_true_or_false_and_nothing_else(server: Served, said: str, status: int) -> None:
    files = {"file": ("x.txt", b"goods")}
    answer = await server.client.post("/rag/documents", files=files, data={"shared": said})
    assert answer.status_code == status
    if status == 202:
        record = (await server.client.get(f"/rag/documents/{answer.json()['document_id']}")).json()
        assert record["shared"] is (said.lower() == "true")


async def test_the_largest_document_is_the_largest(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo, max_document_bytes=2_000)) as server:
        for size, status in ((2_000, 202), (2_001, 413)):
            file = await server.client.post("/rag/documents", files={"file": ("x.txt", b"x" * size)})
            text = await server.client.post("/rag/documents", json={"text": "y" * size})
            assert [file.status_code, text.status_code] == [status, status]


async def test_a_version_that_failed_is_said_beside_the_one_that_is_searched(server: Served) -> None:
    seen = []
    for content in (RETURNS.encode(), b"%PDF-1.7 nothing", RETURNS.encode()):
        job = await upload(server.client, "returns.pdf" if content[:1] == b"%" else "x", content, document_id="r")
        record = (await server.client.get("/rag/documents/r")).json()
        seen.append((job["state"], record["state"], record["error"][:17]))
    assert seen == [("done", "ready", ""), ("failed", "ready", "The PDF is broken"), ("done", "ready", "")]
    assert (await stats(server.client))["documents"] == 1


async def test_other_routes_take_no_larger_bodies_than_before(server: Served) -> None:
    assert (await server.client.post("/orchestrate", content=b" " * 1_100_000)).status_code == 413


async def test_a_question_of_a_million_characters_is_refused_and_the_longest_one_answered(server: Served) -> None:
    await add(server.client, RETURNS)
    refused = await ask(server.client, "goods " * 170_000)
    longest = server.container.settings.max_message_chars
    answered = await ask(server.client, ("May goods be sent back? " + "Goods? " * longest)[:longest])
    assert (refused.status_code, refused.headers["content-type"]) == (413, "application/problem+json")
    assert answered.status_code == 200


@pytest.mark.parametrize("query", ["NOT", "a AND (", '"', "*", "goods OR 1=1 --", "\u0000", "😀", "{}", "title:x"])
async def test_a_question_is_plain_text(server: Served, query: str) -> None:
    await add(server.client, RETURNS)
    await search(server.client, query, min_score=0)
