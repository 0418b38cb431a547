"""The pictures of README and docs: the main states of the web client, on a herald that `herald demo` has filled.

    PYTHONPATH=target/tmp/web-python HERALD_URL=http://127.0.0.1:8080 HERALD_PICTURES=docs/web \\
        python3 tests/web/pictures.py

The packages lie there once the tests of the web client have run."""

import os

os.environ.setdefault("HERALD_PASSWORD", "everybody may know this")

from device import DESK, NIGHT, PHONE, Device, expect, launch  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402


def shown(device):
    """Everything of it is there."""
    expect(device.page.locator(".skeleton")).to_have_count(0)
    device.page.evaluate("document.fonts.ready")


def draw(browser):
    url = os.environ["HERALD_URL"]
    others = []
    for username in ("mehmet", "olga"):
        others.append(Device(browser, url))
        others[-1].sign_in(username)
    desk = Device(browser, url, DESK)
    desk.picture("sign-in")
    desk.sign_in("ada")
    expect(desk.page.locator(".threads .avatar.online")).to_have_count(2)
    shown(desk)
    desk.picture("inbox")
    desk.open("River crossing")
    shown(desk)
    desk.picture("group")
    desk.button("Conversation options")
    desk.choose("Members and settings")
    expect(desk.page.get_by_role("dialog")).to_contain_text("6 members")
    desk.picture("members")
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("Control+k")
    desk.page.get_by_role("searchbox", name="Search messages").fill("boat")
    expect(desk.page.get_by_role("list", name="Results").get_by_role("button").first).to_be_visible()
    desk.picture("search")
    for kind, name in ((NIGHT, "dark"), (PHONE, "telephone")):
        device = Device(browser, url, kind)
        device.sign_in("ada")
        shown(device)
        device.picture(f"{name}-inbox")
        device.open("Mehmet Yıldız")
        shown(device)
        device.picture(name)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        draw(chromium)
        chromium.close()
