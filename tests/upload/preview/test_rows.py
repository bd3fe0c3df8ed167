"""Any row of a folder is found in the preview: by the sample's own search, and page by page from a server."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from fakes.browser import axe, chromium
from medimeta.errors import UnknownName
from medimeta.upload.folder.miniatures import build_miniatures
from medimeta.upload.preview import finder as finding
from medimeta.upload.preview.contents import contents
from medimeta.upload.preview.finder import Finder
from medimeta.upload.preview.page import render
from medimeta.upload.preview.server import server


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return build_miniatures(["bus", "skinl_derm"], tmp_path_factory.mktemp("hub"), version="0", per_class=12)


@pytest.fixture(scope="module")
def rows(hub):
    return Finder(hub)._stored("bus").rows


def test_rows_are_found_by_file_number_subject_and_label(hub, rows):
    finder = Finder(hub)
    row = rows.iloc[5]

    for text in (row["original_filepath"], row["original_filepath"].upper(), str(row["index"])):
        found = finder.find("bus", "case_category", text=text)
        assert row["index"] in [one["index"] for one in found["rows"]]
    (only,) = finder.find("bus", "case_category", row=int(row["index"]))["rows"]
    assert only["facts"]["original_filepath"] == row["original_filepath"]
    assert only["images"]["image"].startswith("data:image/webp")
    malignant = finder.find("bus", "case_category", label="malignant", split="test")
    assert malignant["total"] == sum((rows["case_category"] == 2) & (rows["split"] == "test"))
    assert all("malignant" in one["labels"][0] for one in malignant["rows"])
    subject = Finder(hub)._stored("skinl_derm").rows.iloc[0]["subject_id"]
    assert finder.find("skinl_derm", "diagnosis", text=subject)["total"] >= 1


def test_all_pages_together_are_all_rows_and_only_their_images_are_read(hub, rows, monkeypatch):
    monkeypatch.setattr(finding, "PAGE", 7)
    finder, read = Finder(hub), []
    monkeypatch.setattr(finding, "row_entries", lambda source, page, names: read.append(len(page)) or page["index"])

    numbers = [n for start in range(0, len(rows), 7) for n in finder.find("bus", "malignancy", offset=start)["rows"]]
    assert numbers == rows["index"].to_list()
    assert max(read) == 7


def test_unknown_names_are_answered(hub):
    with pytest.raises(UnknownName):
        Finder(hub).find("crc", "tissue_class")
    with pytest.raises(UnknownName):
        Finder(hub).find("bus", "nothing")


@contextmanager
def serving(hub):
    running = server(render(contents(hub, size=1), "hub", "0", served=True), Finder(hub))
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def refused(request):
    """Status and body of a request that is refused."""
    with pytest.raises(HTTPError) as error:
        urlopen(request)
    with error.value as answer:
        return answer.code, answer.read()


def test_the_server_answers_this_machine_only_and_mistakes_with_a_sentence(hub):
    with serving(hub) as address:
        with urlopen(f"{address}/rows?dataset=bus&task=case_category&text=benign") as answer:
            found = json.load(answer)
        assert found["total"] == 12
        for query in ("dataset=crc&task=x", "dataset=bus&task=case_category&offset=x", ""):
            status, body = refused(f"{address}/rows?{query}")
            assert status == 400
            assert json.loads(body)["error"]
        foreign = Request(f"{address}/rows?dataset=bus&task=case_category", headers={"Host": "evil.example"})
        assert refused(foreign)[0] == 403
        assert refused(f"{address}/../etc/passwd")[0] == 404


@pytest.fixture(scope="module")
def browser():
    yield from chromium()


@pytest.fixture(scope="module")
def page_file(hub, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "preview.html"
    path.write_text(render(contents(hub, size=20), "hub", "0"), encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser):
    contexts, faults = [], []

    def opened(address, width=1280):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="light", bypass_csp=True)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        page.wait_for_selector("h1")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def test_the_sample_has_the_size_that_was_asked_for(hub):
    assert {len(one["rows"]) for one in contents(hub, size=20)} == {20}


@pytest.mark.browser
def test_the_address_holds_the_state_and_brings_it_back(page_file, open_page):
    page = open_page(page_file.as_uri())
    page.click(".balance .label button >> nth=1")
    page.click('[data-split="train"]')
    page.fill("#row-search", "benign")
    page.click(".images button >> nth=0")
    address = page.evaluate("location.hash")
    title = page.text_content("#row-title")

    again = open_page(page_file.as_uri() + address)
    assert again.text_content("#row-title") == title
    assert again.input_value("#row-search") == "benign"
    assert again.get_attribute('[data-split="train"]', "aria-pressed") == "true"
    assert again.evaluate("location.hash") == address
    again.keyboard.press("Escape")
    assert "row=" not in again.evaluate("location.hash")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("#crc", "no dataset “crc”"),
        ("#bus/nothing", "no task “nothing”"),
        ("#bus/malignancy?split=dev", "no split “dev”"),
        ("#bus/malignancy?label=blue", "no label “blue”"),
        ("#bus/malignancy?row=999999", "999999"),
        ("#%E0%A4%A", "no dataset"),
    ],
)
def test_an_unknown_address_says_so(page_file, open_page, address, said):
    page = open_page(page_file.as_uri() + address)

    assert said in page.text_content("[role=alert]")


@pytest.mark.browser
def test_sources_and_licence_are_links(page_file, open_page):
    page = open_page(page_file.as_uri() + "#bus")
    page.click(".notes summary")

    links = page.eval_on_selector_all("#main a", "all => all.map(one => one.href)")
    assert "https://creativecommons.org/licenses/by-sa/4.0/" in links
    assert any("scholar.cu.edu.eg" in link for link in links)


@pytest.mark.browser
def test_a_server_shows_every_row(hub, rows, open_page):
    with serving(hub) as address:
        page = open_page(f"{address}/#bus/case_category")
        page.wait_for_selector(".images img")
        assert f"1 to {len(rows)} of {len(rows)} images" in page.text_content("#row-count")
        page.fill("#row-search", rows.iloc[5]["original_filepath"])
        page.wait_for_function("document.querySelector('#row-count').textContent.includes('1 to 1 of 1 ')")
        last = int(rows.iloc[-1]["index"])
        page = open_page(f"{address}/#bus/case_category?row={last}")
        page.wait_for_selector("#row[open]")
        assert f"image {last}" in page.text_content("#row-title")


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 1280, 1600])
@pytest.mark.parametrize("address", ["", "#bus/malignancy?row=", "#crc"])
def test_axe_finds_nothing(page_file, rows, open_page, width, address):
    number = contents_row(page_file) if address.endswith("=") else ""
    page = open_page(page_file.as_uri() + address + str(number), width)

    assert axe.violations(page) == []


def contents_row(page_file):
    """The number of an image in the sample of bus."""
    text = page_file.read_text(encoding="utf-8").partition('id="data"')[2].partition(">")[2].partition("</script>")[0]
    return next(one for one in json.loads(text) if one["id"] == "bus")["rows"][0]["index"]
