"""The page of `hrda view` in a real browser: what a person sees and does."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip('aiohttp', reason='needs pip install "hrda_ros[view]"')
from headless_browser import browser_page, find_browser
from view_fixtures import RedSegmenter, served

BROWSER = find_browser()
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason='no chromium is installed (sudo apt install chromium)'
)
PIXEL = """(() => {
  const canvas = document.getElementById('picture');
  return [...canvas.getContext('2d').getImageData(32, 24, 1, 1).data].slice(0, 3);
})()"""


def look(script, tmp_path, **options):
    """Run a coroutine function on the page of a server with numbered frames."""

    async def run(url):
        async with browser_page(BROWSER, tmp_path, url) as page:
            await page.wait_for('document.body?.dataset.frames > 0')
            return await script(page)

    with served(RedSegmenter(), **options) as url:
        return asyncio.run(run(url))


async def settle(page):
    """Wait for the frames that are under way, which a pause does not call back."""
    seen, now = None, await page.value('document.body.dataset.frames')
    while seen != now:
        await asyncio.sleep(0.3)
        seen, now = now, await page.value('document.body.dataset.frames')


async def go_to(page, index):
    """Drag the slider to a frame, and wait until it is shown."""
    await settle(page)
    await page.value(
        f"""(() => {{
          const place = document.getElementById('place');
          place.value = {index};
          place.dispatchEvent(new Event('input'));
          place.dispatchEvent(new Event('change'));
        }})()"""
    )
    await page.wait_for(f"document.querySelectorAll('#legend li')[{index}].className === ''")
    await settle(page)


async def press(page, selector):
    await page.value(f"document.querySelector('{selector}').click()")


def test_a_person_watches_pauses_and_looks_closer(tmp_path):
    async def script(page):
        await page.wait_for("document.getElementById('connection').textContent === 'playing'")
        await press(page, '#play')
        await page.wait_for("document.getElementById('connection').textContent === 'paused'")
        await go_to(page, 2)
        seen = {'overlay': await page.value(PIXEL)}
        for view in ('labels', 'input', 'confidence'):
            await press(page, f'[data-view={view}]')
            seen[view] = await page.value(PIXEL)
        box = await page.value(
            '(({left, top, width, height}) => [left + width / 2, top + height / 2])'
            "(document.getElementById('picture').getBoundingClientRect())"
        )
        await page.move_mouse(*box)
        await page.wait_for("!document.getElementById('hover').hidden")
        seen['hover'] = await page.value("document.getElementById('hover').textContent")
        seen['share'] = await page.value(
            "document.querySelectorAll('#legend li')[2].lastChild.textContent"
        )
        seen['windows'] = await page.value(
            "document.getElementById('windows').parentElement.textContent"
        )
        return seen

    seen = look(script, tmp_path)
    assert seen['labels'] == [70, 70, 70]  # building
    assert seen['input'] == pytest.approx([2, 128, 2], abs=6)
    expected = [(a + b) / 2 for a, b in zip(seen['labels'], seen['input'], strict=True)]
    assert seen['overlay'] == pytest.approx(expected, abs=2)
    assert seen['confidence'] == pytest.approx([34, 143, 140], abs=20)
    assert seen['hover'].startswith('building50.2 %')
    assert (seen['share'], seen['windows']) == ('100.0 %', '5 of 21 planned')


def test_sliders_change_the_picture_without_the_server(tmp_path):
    async def script(page):
        await press(page, '#play')
        await go_to(page, 2)
        pixels = []
        for name, value in (('alpha', 100), ('least', 60)):
            await page.value(
                f"""(() => {{
                  const slider = document.getElementById('{name}');
                  slider.value = {value};
                  slider.dispatchEvent(new Event('input'));
                }})()"""
            )
            pixels.append(await page.value(PIXEL))
        return pixels

    opaque, hidden = look(script, tmp_path)
    assert opaque == [70, 70, 70]
    assert hidden == pytest.approx([2, 128, 2], abs=6)


def test_a_failing_frame_is_told_on_the_page(tmp_path):
    async def script(page):
        await press(page, '#play')
        await page.value(
            """(() => {
              const place = document.getElementById('place');
              place.value = 13;
              place.dispatchEvent(new Event('input'));
            })()"""
        )
        await page.wait_for("!document.getElementById('problem').hidden")
        return await page.value("document.getElementById('problem').textContent")

    assert look(script, tmp_path) == 'frame 14: this one is broken'
