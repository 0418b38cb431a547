"""Somebody at a browser: what they see and do, in the words of the page. Waits on what is shown, never on time."""

import os
import pathlib
import shutil
import sys

import axe_playwright_python
from playwright.sync_api import expect

PATIENCE = 60_000
PASSWORD = os.environ["HERALD_PASSWORD"]
AXE = pathlib.Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
PICTURES = pathlib.Path(os.environ["HERALD_PICTURES"])

DESK = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
NIGHT = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"}
PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True, "is_mobile": True}

# What the policy of the page refused is told, as is markup that came to life.
WATCH = """
    window.refused = [];
    addEventListener("securitypolicyviolation", (event) => refused.push(`${event.violatedDirective} ${event.blockedURI}`));
    window.attack = () => { window.attacked = true; };
"""

expect.set_options(timeout=PATIENCE)


def launch(playwright):
    """The Chromium of this machine."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        sys.exit("Chromium is missing, which the web client is tested in: apt-get install chromium")
    # Root has no sandbox to use; what is shown is our own.
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])


class Device:
    """One browser profile with one page."""

    def __init__(self, browser, url, kind=DESK):
        self.url, self.faults = url, []
        self.context = browser.new_context(locale="en-GB", timezone_id="Europe/London", reduced_motion="reduce", **kind)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.page.add_init_script(WATCH)
        self.page.on("pageerror", lambda error: self.faults.append(f"{error}"))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        self.page.goto(url)

    def sign_up(self, username, display_name):
        self.page.get_by_role("button", name="Sign up").click()
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Display name").fill(display_name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()
        self.is_in()

    def sign_in(self, username):
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.is_in()

    def is_in(self):
        expect(self.page.locator(".inbox[data-state=live]")).to_be_attached()

    def is_away(self):
        expect(self.page.locator(".inbox:not([data-state=live])")).to_be_attached()

    def find(self, username):
        """Opens the conversation with somebody by their username."""
        self.button("New conversation")
        self.choose("Message somebody")
        self.page.get_by_label("Username").fill(username)
        self.button("Find")
        self.button("Message")
        expect(self.composer).to_be_visible()

    def open(self, name):
        self.thread(name).click()
        expect(self.page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()

    def say(self, text):
        self.composer.fill(text)
        self.button("Send")

    def act(self, text, action):
        """Does something with a message by its menu."""
        bubble = self.bubble(text)
        bubble.hover()
        bubble.locator("..").get_by_role("button", name="Message actions").click()
        self.choose(action)

    def choose(self, action):
        self.page.get_by_role("menuitem", name=action, exact=True).click()

    def button(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    @property
    def composer(self):
        return self.page.get_by_role("textbox", name="Message", exact=True)

    def thread(self, name):
        return self.page.locator(".threads a").filter(has=self.page.get_by_text(name, exact=True))

    def bubble(self, text):
        return self.page.locator(".bubble").filter(has=self.page.locator(".body", has_text=text))

    def sees(self, text, times=1):
        expect(self.bubble(text)).to_have_count(times)

    def ticks(self, text):
        return self.bubble(text).locator(".ticks")

    def said(self):
        """All texts of the open conversation that are drawn, in order."""
        return self.page.locator(".row .body").all_text_contents()

    def picture(self, name):
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")

    def is_accessible(self, state):
        """No finding of axe that keeps somebody out."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
        told = [(one["id"], one["impact"], [node["html"][:200] + node["failureSummary"] for node in one["nodes"][:3]]) for one in found]
        assert not [one for one in told if one[1] in ("serious", "critical")], f"{state}: {told}"

    def fits(self):
        """Nothing that is shown reaches beyond the screen."""
        beyond = self.page.evaluate("""[...document.querySelectorAll("a, button, input, .bubble, header, dialog, .composer-line")]
            .filter((one) => one.checkVisibility()).map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
            .filter(([, { left, right, width }]) => width > 0 && (left < -1 || right > innerWidth + 1))""")
        assert not beyond, beyond

    def is_sound(self):
        """Nothing failed, nothing was refused, and no markup came to life."""
        assert not self.faults, self.faults
        assert self.page.evaluate("window.attacked") is None, "markup came to life"
        assert self.page.locator("img[src=x], .bubble script, .threads script").count() == 0
        assert self.page.evaluate("refused") == [], self.page.evaluate("refused")
