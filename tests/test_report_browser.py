"""The report in a real browser, at the width of a laptop and of a phone."""

import base64
import io
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from swagv.gallery import Example
from swagv.report import write_report
from swagv.typeset import build_table, to_html
from swagv.viz import Scale, overlay
from tests.test_report import save_store

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (apt-get install chromium)")
METHODS, MODELS, CLIPS = ("centre", "grad_cam", "swagv_ig"), ("c3d", "r2plus1d"), ("boxing@000000", "golf@000000")
SIZE = (16, 32, 32)
SCORES = {"deletion_auc": (0.5, 0.3, 0.1), "insertion_auc": (0.4, 0.8, 0.6)}


def smooth(rng, *shape):
    """Noise without fine detail, which compression would change."""
    return np.repeat(np.repeat(rng.random((*shape[:2], 4, 4, *shape[4:])), 8, 2), 8, 3)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Frames (clip, T, H, W, 3), maps by network and method, and the folder that has them."""
    root, rng = tmp_path_factory.mktemp("stores"), np.random.default_rng(0)
    # Grey, since compression blurs colours.
    frames = np.rint(255 * smooth(rng, 2, *SIZE)).astype(np.uint8)[..., None].repeat(3, -1)
    maps = {(model, method): smooth(rng, 2, *SIZE).astype(np.float32) for model in MODELS for method in METHODS}
    boxes = np.full((2, SIZE[0], 4), np.nan, np.float32)
    boxes[:, :8] = [6, 8, 20, 24]
    spec = {"geometry": {"resize": [32, 32], "crop": 32}}
    names = {"clip_ids": list(CLIPS)}
    stored = names | {"status": ["ok"] * 2, "sizes": [[32, 32]] * 2, "spec": spec}
    save_store(root / "clips" / "0000.zarr", stored, frames=frames, boxes=boxes)
    for (model, method), attribution in maps.items():
        status = ["ok", "one_supervoxel" if method == "swagv_ig" else "ok"]
        save_store(root / model / method / "0000.zarr", names | {"status": status, "spec": {}}, attribution=attribution)
    return root, frames, maps


@pytest.fixture(scope="module")
def address(stores, tmp_path_factory):
    root, folder = stores[0], tmp_path_factory.mktemp("report")
    cells = [{"dataset": "d", "model": model, "method": method} for model in MODELS for method in METHODS]
    summary = [
        cell
        | {"metric": metric, "n": 2, "n_failed": 0, "mean": value, "ci_low": value - 0.1, "ci_high": value + 0.1}
        | {"higher_is_better": metric == "insertion_auc"}
        for cell in cells
        for metric, values in SCORES.items()
        for value in [values[METHODS.index(cell["method"])]]
    ]
    wide = build_table(pd.DataFrame(summary), "Insertion and deletion", list(SCORES))
    (folder / "table2.html").write_text(to_html(wide, "table2"), encoding="utf-8")
    (folder / "figure3.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="900" height="300"/>')
    pair = {"dataset": "d", "model": "c3d", "method_a": "centre", "method_b": "grad_cam", "n": 8, "n_videos": 8}
    pair |= {"difference": 0.25, "ci_low": 0.125, "ci_high": 0.375, "p": 0.01, "p_holm": 0.02, "win_rate": 0.25}
    pair |= {"p_least": 0.0078125, "higher_is_better": False}
    pairs = [pair | {"metric": metric} for metric in ("joint", "deletion_auc")]
    said = {"target": 1, "target_name": "golf", "p_target": 0.75, "top1": 1, "top1_name": "golf", "p_top1": 0.75}
    rows = {
        "compared": pairs,
        "scores": [
            cell | {"clip_id": clip, "status": "ok", "deletion_auc": 0.25, "insertion_auc": 0.5}
            | {f"{game}_curve": [0.5] * 5 for game in ("deletion", "insertion")}
            for cell in cells for clip in CLIPS
        ],
        "predictions": [
            {"dataset": "d", "model": model, "shard": "0000", "clip_id": clip, "status": "ok", "label": 1} | said
            for model in MODELS for clip in CLIPS
        ],
        "d/manifest/0000": [
            {"clip_id": clip, "video_id": clip[:-7], "label": "golf", "status": "ok", "detail": ""} for clip in CLIPS
        ],
    }  # fmt: skip
    paths = {name: folder / f"{name}.parquet" for name in rows}
    for name, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows[name]).to_parquet(path)
    write_report(
        folder / "report.html",
        tables=[folder / "table2.html"],
        figures=[folder / "figure3.svg"],
        comparisons=[paths["compared"]],
        captions={},
        insertion_deletion=None,
        games="insertion_deletion",
        clip_tables={"insertion_deletion": [paths["scores"]]},
        manifests=[paths["d/manifest/0000"]],
        predictions=[paths["predictions"]],
        examples=[
            Example("d", model, method, root / "clips" / "0000.zarr", root / model / method / "0000.zarr")
            for model in MODELS
            for method in METHODS
        ],
        paper_clips={"d": 0},
        alpha_from={},
        methods=METHODS,
        provenance={"settings": {"a": [1, 2]}},
    )
    return f"file://{folder / 'report.html'}"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 390], ids=["laptop", "phone"])
def page(request, browser, address):
    """The open page; at the end it must have been silent and have asked for nothing but itself."""
    context = browser.new_context(viewport={"width": request.param, "height": 844})
    page, heard, asked = context.new_page(), [], []
    page.set_default_timeout(20_000)
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda one: asked.append(one.url))
    page.goto(address)
    page.wait_for_selector("#gallery canvas")
    yield page
    assert heard == []
    assert {url for url in asked if not url.startswith("data:")} == {address}
    context.close()


def methods_in_order(page):
    return page.locator("#table-table2 tbody th[scope=row]").all_text_contents()


def test_a_click_sorts_the_better_side_first_then_the_other_then_as_before(page):
    deletion, insertion = (
        page.locator("#table-table2 thead button", has_text=f"{game} AUC").first for game in ("deletion", "insertion")
    )
    best_first = {deletion: ["swagv_ig", "grad_cam", "centre"], insertion: ["grad_cam", "swagv_ig", "centre"]}
    for button, order in best_first.items():
        button.click()
        assert methods_in_order(page) == order
        button.click()
        assert methods_in_order(page) == order[::-1]
        button.click()
        assert methods_in_order(page) == list(METHODS)
    name = page.locator("#table-table2 thead button", has_text="method")
    name.click()
    name.click()
    assert methods_in_order(page) == sorted(METHODS, reverse=True)
    deletion.click()
    insertion.click()
    assert page.locator("#table-table2 th[aria-sort]").count() == 1
    assert methods_in_order(page) == best_first[insertion]


def test_a_cell_of_the_wins_says_its_pair_from_both_sides(page):
    wins = page.locator("#wins")
    assert wins.locator("option").all_inner_texts() == [
        "deletion + (1 − insertion) ↓: c3d on d", "deletion AUC ↓: c3d on d"
    ]  # fmt: skip
    wins.locator("select").select_option("1")
    assert wins.locator("output").inner_text().endswith("8 videos and 1 pair allow no p below 0.0078.")
    there, back = wins.locator("td button").all()
    there.click()
    assert wins.locator("output").inner_text() == (
        "centre beats grad_cam on 25 % of 8 clips; mean difference +0.250, 95 % interval +0.125 to +0.375, "
        "p = 0.020 (Holm)."
    )
    back.click()
    assert wins.locator("output").inner_text() == (
        "grad_cam beats centre on 75 % of 8 clips; mean difference −0.250, 95 % interval −0.375 to −0.125, "
        "p = 0.020 (Holm)."
    )


def shown(page, method):
    """The picture of a card at the network's own size, (H, W, 3) int."""
    # Not by getImageData, of which the browser would warn.
    address = page.locator(f"canvas[aria-label={method}]").evaluate("canvas => canvas.toDataURL()")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))
    assert picture.shape == (64, 64, 4)
    return picture[::2, ::2, :3].astype(int)


def move(page, name, value):
    page.locator(f"#gallery [name={name}]").evaluate(
        f"one => {{ one.value = {value}; one.dispatchEvent(new Event('input')); }}"
    )


def choose(page, name, value):
    page.locator(f"#gallery [name={name}]").select_option(value)
    page.wait_for_selector("#gallery .cards:not([aria-busy])")  # the pictures are decoded


def test_slider_opacity_clip_and_network_show_what_overlay_draws(page, stores):
    _, frames, maps = stores
    page.locator("#gallery [name=box]").uncheck()
    seen = []
    for clip, model, t, opacity in ((0, 0, 8, 70), (0, 0, 1, 70), (0, 0, 1, 0), (1, 1, 16, 100)):
        choose(page, "clip", str(clip))
        choose(page, "model", str(model))
        move(page, "frame", t)
        move(page, "opacity", opacity)
        assert page.locator(".frame-number").inner_text() == f"{t} of 16"
        assert page.locator(".opacity-number").inner_text() == f"{opacity} %"
        assert page.locator(".said").inner_text() == f"{MODELS[model]} says: golf, p = 0.75"
        assert np.abs(shown(page, "frames") - frames[clip, t - 1]).mean() < 6
        attribution = maps[MODELS[model], "grad_cam"][clip]
        drawn = overlay(frames[clip], attribution, opacity / 100, Scale.of(attribution))[t - 1]
        seen.append(shown(page, "grad_cam"))
        assert np.abs(seen[-1] - drawn).mean() < 6
    # None of the four could pass for another.
    assert min(np.abs(a - b).mean() for i, a in enumerate(seen) for b in seen[:i]) > 12


def test_the_true_box_comes_and_goes(page):
    move(page, "frame", 1)
    green = (80, 255, 120)

    def is_green():
        return (np.abs(shown(page, "frames") - green).max(-1) < 3).any()

    assert is_green()
    page.locator("#gallery [name=box]").uncheck()
    assert not is_green()
    page.locator("#gallery [name=box]").check()
    assert is_green()
    move(page, "frame", 9)  # has no box
    assert not is_green()


def test_a_failed_explanation_says_why(page):
    choose(page, "clip", "1")
    card = page.locator("#gallery figure", has_text="swagv_ig")
    assert "one_supervoxel" in card.inner_text()
    assert not card.locator("canvas").is_visible()
    assert "deletion 0.250 · insertion 0.500" in page.locator("#gallery figure", has_text="grad_cam").inner_text()


def test_play_moves_on_and_stops(page):
    play = page.locator("#gallery [name=play]")
    before = page.locator(".frame-number").inner_text()
    play.click()
    for _ in range(50):
        page.wait_for_timeout(100)
        if page.locator(".frame-number").inner_text() != before:
            break
    else:
        raise AssertionError("the frame did not change in 5 seconds")
    play.click()
    assert play.inner_text() == "Play"
    stopped = page.locator(".frame-number").inner_text()
    page.wait_for_timeout(400)
    assert page.locator(".frame-number").inner_text() == stopped


def test_nothing_is_wider_than_the_page(page):
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_it_may_ask_for_nothing_outside(browser, address):
    context = browser.new_context()
    page, asked = context.new_page(), []
    page.on("request", lambda one: asked.append(one.url))
    page.goto(address)
    said = page.evaluate("fetch('https://example.org').then(() => 'fetched', (error) => error.name)")
    assert said == "TypeError"
    assert not [url for url in asked if "example.org" in url and not url.startswith("blob:")]
    context.close()
