"""The preview in Chromium: mouse, keyboard, search, contrast, a phone, and hostile names."""

from __future__ import annotations

import json
import re

import pytest

from fakes.browser import chromium
from medimeta.upload.preview.page import render

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


@pytest.fixture(scope="module")
def browser():
    yield from chromium()


@pytest.fixture
def opened(browser, page_file):
    """A function that opens the page and returns it; at the end there must be no error and no request."""
    contexts, faults, requests = [], [], []

    def open_page(path=page_file, address="", **options):
        context = browser.new_context(**{"viewport": WIDE, "color_scheme": "light", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri() + address)
        page.wait_for_selector("h1")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
    assert [url for url in requests if not url.startswith(("file:", "data:image/"))] == []


def first(hub):
    return next((hub / "bus").glob("train-*.parquet"))


@pytest.mark.browser
def test_browsing_by_mouse(opened, datasets):
    page = opened()

    assert page.title() == "hub, a preview"
    assert page.locator("h1").inner_text() == "Breast Ultrasound"
    assert page.locator(".dataset").count() == 3
    page.get_by_role("button", name="Chest X-ray Multi-disease").click()
    assert page.locator("h1").inner_text() == "Chest X-ray Multi-disease"
    page.locator(".tasks").get_by_role("button", name="patient sex").click()
    assert page.locator("h2#task").inner_text() == "patient sex"
    assert page.url.endswith("#cxr/patient_sex")

    page.locator(".balance").get_by_role("button", name="F", exact=True).click()
    assert page.locator(".group").count() == 1
    page.locator("[data-split=test]").click()
    captions = page.locator(".images .caption").all_inner_texts()
    cxr = next(dataset for dataset in datasets if dataset["id"] == "cxr")
    wanted = [row for row in cxr["rows"] if row["split"] == "test" and row["labels"][1] == ["F"]]
    assert captions == [f"test · {row['index']}" for row in wanted]
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth === 224)")
    page.locator("[data-split=all]").click()
    page.locator(".clear").click()
    assert page.locator(".group").count() == 2

    page.locator(".images button").first.click()
    row = page.locator("dialog[open]")
    assert "patient_age" in row.inner_text()
    row.get_by_label("Next image").click()
    assert row.locator("h2").inner_text() != f"test, image {wanted[0]['index']}"
    row.get_by_label("Close").click()
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.browser
def test_masks_are_shown_with_the_row(opened):
    page = opened(address="#bus/malignancy")

    page.locator(".balance .label button").nth(1).click()
    page.locator(".images button").first.click()

    assert page.locator("dialog .masks figcaption").inner_text() == "mask"


@pytest.mark.browser
def test_search_finds_datasets_tasks_and_labels(opened):
    page = opened()
    search = page.get_by_role("searchbox", name="Find a dataset")

    search.fill("pneumothorax")
    assert page.locator(".dataset .name").all_inner_texts() == ["Chest X-ray Multi-disease"]
    assert page.locator("#found").inner_text() == "1 dataset"
    page.locator(".hit").click()
    assert page.locator(".group h4").inner_text().startswith("Pneumothorax")
    search.fill("blue whitish")
    assert page.locator(".hit").inner_text().split("\n") == ["Blue Whitish Veil", "task"]
    search.fill("qqq")
    assert page.locator(".dataset").count() == 0
    assert page.locator("#found").inner_text() == "No matches for “qqq”."


@pytest.mark.browser
def test_a_key_just_after_closing_is_not_undone(opened):
    page = opened(address="#bus/malignancy")
    page.locator(".images button").first.click()
    page.keyboard.press("ArrowRight")  # another image, to which the focus would go

    page.evaluate(
        "() => new Promise((done) => {"
        "  const dialog = document.querySelector('dialog');"
        "  dialog.addEventListener('close', () => setTimeout(done));"
        "  dialog.close();"
        "  document.querySelector('.images [data-place=\"3\"]').focus();"
        "})"
    )

    assert page.evaluate("document.activeElement.dataset.place") == "3"


@pytest.mark.browser
def test_everything_works_by_keyboard(opened):
    page = opened()
    focused = "document.activeElement"

    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.textContent") == "Skip to the images"
    page.keyboard.press("/")
    page.keyboard.type("melanoma")
    page.keyboard.press("Escape")
    assert page.get_by_role("searchbox", name="Find a dataset").input_value() == ""
    assert page.locator(".dataset").count() == 3
    for _ in range(3):  # the first dataset and its two tasks
        page.keyboard.press("ArrowDown")
    assert page.evaluate(f"{focused}.textContent") == "malignancy"
    page.keyboard.press("Enter")
    assert page.locator("h2#task").inner_text() == "malignancy"
    assert page.evaluate(f"{focused}.textContent") == "malignancy"  # the focus stays where it was

    page.locator(".balance .label button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator(".balance tr.on").inner_text().startswith("malignant finding")
    page.keyboard.press("Escape")
    assert page.locator(".balance tr.on").count() == 0

    page.locator(".images button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    first = page.locator("dialog h2").inner_text()
    assert page.evaluate(f"document.querySelector('dialog').contains({focused})")
    page.keyboard.press("ArrowRight")
    assert page.locator("dialog h2").inner_text() != first
    page.keyboard.press("ArrowLeft")
    assert page.locator("dialog h2").inner_text() == first
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate(f"{focused}.dataset.place") == "1"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(f"{focused}.dataset.place") != "1"


@pytest.mark.browser
def test_every_control_has_a_name_and_every_image_an_alternative(opened):
    page = opened(address="#cxr")
    page.locator(".images button").first.click()

    nameless = """[...document.querySelectorAll("button, input, img, dialog, nav, section")].filter((node) => !(
        node.getAttribute("aria-label") || node.textContent.trim() || node.hasAttribute("alt")
        || document.getElementById(node.getAttribute("aria-labelledby")))).map((node) => node.outerHTML.slice(0, 80))"""
    assert page.evaluate(nameless) == []


def channels(page, selector, kind):
    colour = page.evaluate(f"getComputedStyle(document.querySelector({selector!r})).{kind}")
    return [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]


def luminance(rgb):
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_have_contrast(opened, scheme):
    page = opened(color_scheme=scheme, address="#skinl_derm")

    paper = luminance(channels(page, "body", "backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    for selector in ("h1", ".summary", ".dataset .count", ".balance th", ".more, .chip", "footer", "details summary"):
        ink = luminance(channels(page, selector, "color"))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, selector
    ink, ground = (luminance(channels(page, ".chip.warn", kind)) for kind in ("color", "backgroundColor"))
    assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5


@pytest.mark.browser
def test_phone_needs_no_sideways_scrolling(opened, datasets):
    page = opened(viewport=PHONE, has_touch=True)
    fits = "document.documentElement.scrollWidth <= innerWidth"

    for dataset in datasets:
        page.locator(".menu").tap()
        assert page.evaluate(fits)
        page.locator(f"[data-id={dataset['id']}]").tap()
        assert page.locator(".browse.open").count() == 0
        assert page.locator("h1").inner_text() == dataset["name"]
        for task in dataset["tasks"]:
            page.locator(f".tabs [data-id='tab {task['column']}']").tap()
            assert page.evaluate(fits), (dataset["id"], task["name"])
        page.locator(".images button").first.tap()
        assert page.evaluate("document.querySelector('dialog').scrollWidth <= innerWidth")
        page.get_by_label("Close").tap()


@pytest.mark.browser
def test_hostile_names_stay_text(opened, datasets, tmp_path):
    dataset = json.loads(json.dumps(datasets[0]))
    task = dataset["tasks"][0]
    task["name"] = task["balance"][0]["label"] = dataset["name"] = dataset["summary"] = dataset["issues"][0] = HOSTILE
    for row in dataset["rows"]:
        row["labels"][0] = [HOSTILE]
        row["facts"] = {HOSTILE: HOSTILE, "__proto__": "x"}
    path = tmp_path / "hostile.html"
    path.write_text(render([dataset], HOSTILE, HOSTILE), encoding="utf-8")
    html = path.read_text(encoding="utf-8")

    page = opened(path)
    page.get_by_role("searchbox", name="Find a dataset").fill("</script>")
    page.locator(".hit").first.click()
    page.locator(".images button").first.click()
    assert HOSTILE in page.locator("dialog").inner_text()
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    assert HOSTILE not in html
    assert html.count("<script") == 2  # the data and the page's own


@pytest.mark.browser
def test_a_script_of_someone_else_is_not_run(browser, page_file, tmp_path):
    """Even if a text came through unescaped, the page's policy names the one script that may run."""
    path = tmp_path / "injected.html"
    html = page_file.read_text(encoding="utf-8")
    path.write_text(
        html.replace("<dialog", "<script>window.hacked = 1</script><img src='x' onerror='window.hacked = 1'><dialog")
    )
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("h1")

    assert page.evaluate("window.hacked") is None
    page.close()
