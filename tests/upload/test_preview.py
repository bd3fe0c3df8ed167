"""The preview page in a real browser, and the data behind it."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCardData

from fakes.browser import chromium
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.errors import MedIMetaError
from medimeta.upload.folder.writing import build
from medimeta.upload.preview import contents as module
from medimeta.upload.preview.contents import contents, sample
from medimeta.upload.preview.page import render, write_space

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    home = tmp_path_factory.mktemp("hubs")
    for dataset, per_class in (("bus", 6), ("cxr", 3), ("skinl_derm", 4)):
        raw = write_miniature(dataset, home / dataset, per_class=per_class)
        source = open_source(dataset, raw, Options(partial=True, with_masks=dataset == "bus"))
        build(source, home / "hub", version="0")
    return home / "hub"


@pytest.fixture(scope="module")
def datasets(hub):
    return contents(hub)


@pytest.fixture(scope="module")
def page_file(datasets, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "preview.html"
    path.write_text(render(datasets, "hub", "0"), encoding="utf-8")
    return path


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


def rows_of(hub, dataset):
    tables = [pq.read_table(path) for path in sorted((hub / dataset).glob("*.parquet"))]
    return pa.concat_tables(tables).to_pylist()


def test_counts_are_of_all_rows(hub, datasets, monkeypatch):
    monkeypatch.setattr(module, "IMAGES", 9)  # 3 of each dataset
    few = contents(hub)

    for dataset, sampled in zip(datasets, few, strict=True):
        rows = rows_of(hub, dataset["id"])
        task = dataset["tasks"][0]
        values = [row[task["column"]] for row in rows]
        ids = Counter(label for value in values for label in (value if isinstance(value, list) else [value]))
        assert [sum(entry["counts"]) for entry in task["balance"]][: len(ids)] == [ids[i] for i in sorted(ids)]
        assert len(sampled["rows"]) == 3
        assert sampled["tasks"] == dataset["tasks"]


def test_every_label_is_seen_in_every_split(datasets):
    for dataset in datasets:
        splits = list(dataset["splits"])
        for place, task in enumerate(dataset["tasks"]):
            there = {(row["split"], label) for row in dataset["rows"] for label in row["labels"][place]}
            for entry in task["balance"]:
                for split, count in zip(splits, entry["counts"], strict=True):
                    assert ((split, entry["label"]) in there) == (count > 0), (dataset["id"], task["name"], entry)


def test_labels_take_turns():
    labels = [["common"]] * 90 + [["rare"]] * 10

    picked = sample(["train"] * 100, [labels], 20, seed=0)

    assert Counter(labels[row][0] for row in picked) == {"common": 10, "rare": 10}
    assert picked == sample(["train"] * 100, [labels], 20, seed=0) != sample(["train"] * 100, [labels], 20, seed=1)
    assert sorted(sample(["train"] * 100, [labels], 1000, seed=0)) == list(range(100))


def test_the_same_folder_gives_the_same_page_of_bounded_size(hub, datasets, page_file, monkeypatch):
    copy = page_file.parent / "elsewhere"
    shutil.copytree(hub, copy)

    assert render(contents(copy), "hub", "0") == page_file.read_text(encoding="utf-8")
    monkeypatch.setattr(module, "BYTES", 90_000)
    small = contents(hub)
    assert small == contents(hub) != contents(hub, seed=1)
    assert all(0 < len(less["rows"]) < len(more["rows"]) for less, more in zip(small, datasets, strict=True))
    assert len(json.dumps([one["rows"] for one in small])) < 90_000 * 4 / 3 + 100_000


def test_space_leaves_out_what_may_not_be_passed_on(hub, tmp_path):
    found = contents(hub, public=True)

    assert {dataset["id"]: bool(dataset["rows"]) for dataset in found} == {
        "bus": True,
        "cxr": True,
        "skinl_derm": False,
    }
    for _ in range(2):  # written again without a word
        write_space(render(found, "hub", "0"), tmp_path / "space", "hub")
    front = yaml.safe_load((tmp_path / "space" / "README.md").read_text().split("---")[1])
    assert front["sdk"] == "static"
    assert DatasetCardData(**front).to_dict()["title"] == "hub"
    assert {path.name for path in (tmp_path / "space").iterdir()} == {"index.html", "README.md"}
    (tmp_path / "space" / "thesis.tex").write_text("mine")
    with pytest.raises(MedIMetaError, match=r"thesis\.tex"):
        write_space("", tmp_path / "space", "hub")


def first(hub):
    return next((hub / "bus").glob("train-*.parquet"))


def edit(hub, change):
    pq.write_table(change(pq.read_table(first(hub))), first(hub))


def with_column(name, values):
    def change(table):
        place = table.schema.get_field_index(name)
        return table.set_column(
            place, table.schema.field(place), pa.array(values(table), table.schema.field(place).type)
        )

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda hub: shutil.rmtree(hub), "holds no dataset that was built"),
        (lambda hub: (hub / "README.md").unlink(), r"medimeta card"),
        (lambda hub: (hub / "records" / "bus" / "build.json").unlink(), r"bus lacks its build\.json"),
        (lambda hub: (hub / "records" / "bus" / "build.json").write_text("{}"), r"build\.json: not a build record"),
        (lambda hub: first(hub).rename(hub / "bus" / "train-00001-of-00002.parquet"), "incomplete"),
        (lambda hub: first(hub).write_bytes(b"PAR1"), "not a readable Parquet"),
        (lambda hub: edit(hub, lambda table: table.drop_columns(["malignancy"])), "lacks the column.*malignancy"),
        (
            lambda hub: edit(hub, with_column("malignancy", lambda table: [7] * len(table))),
            "malignancy is 7, where 0 to 1 are labels.*medimeta verify",
        ),
        (
            lambda hub: edit(hub, with_column("image", lambda rows: [{"bytes": b"GIF8", "path": "a"}] * len(rows))),
            r"train-00000-of-00001\.parquet, row \d+: image",
        ),
    ],
)  # fmt: skip
def test_broken_folder_is_named(hub, tmp_path, damage, words):
    shutil.copytree(hub, tmp_path / "hub")
    damage(tmp_path / "hub")

    with pytest.raises(MedIMetaError, match=words):
        contents(tmp_path / "hub")


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
